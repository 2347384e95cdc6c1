/** What became of the mutants: a text that appears as they are tried, or one line of JSON. */
import { Mutants } from "evolvent/testing"

export interface Report {
  /** Takes the cases that the store without a mistake fails: there must be none. */
  readonly original: (failures: ReadonlyArray<Mutants.Failure>) => void
  /** Takes what became of a mutant. */
  readonly trial: (trial: Mutants.Trial) => void
  /** Sums up; says whether all is well: no survivor, and nothing wrong with the store that they are made of. */
  readonly end: () => boolean
}

type Print = (line: string) => void

/** Prints `{"mutants":N,"killed":N,"survivors":[]}` at the end, complaints go to `complain`. */
export const jsonReport = (print: Print = console.log, complain: Print = console.error): Report => {
  const counted = counting(complain)
  return {
    ...counted,
    end: () => {
      const { mutants, survivors } = counted
      print(JSON.stringify({ mutants: mutants.length, killed: mutants.length - survivors.length, survivors }))
      return counted.end()
    }
  }
}

/** Prints every mutant with all cases that it fails; those that it has to fail are marked. */
export const textReport = (print: Print = console.log): Report => {
  const counted = counting(print)
  return {
    original: counted.original,
    trial: (trial) => {
      counted.trial(trial)
      const { killers, missed, mutant } = trial
      print(`${mutant.name}: ${mutant.mistake}`)
      for (const { how, name, rule } of killers) {
        print(
          `  ${mutant.killedBy.includes(name) ? "*" : " "} ${rule.padEnd(3)} ${name}${how === "broken" ? "" : ` (${how})`}`
        )
      }
      for (const name of missed) print(`  ! not killed by: ${name}`)
      if (Mutants.survives(trial)) print("  ! SURVIVES")
    },
    end: () => {
      const { mutants, survivors } = counted
      print(`\n${mutants.length} mutants, ${mutants.length - survivors.length} killed`)
      if (survivors.length > 0) print(`survivors: ${survivors.join(", ")}`)
      return counted.end()
    }
  }
}

const counting = (complain: Print) => {
  const mutants: Array<string> = []
  const survivors: Array<string> = []
  let isSound = true
  return {
    mutants,
    survivors,
    original: (failures: ReadonlyArray<Mutants.Failure>) => {
      for (const { name, problem } of failures) complain(`the store without a mistake fails "${name}": ${problem}`)
      if (failures.length > 0) isSound = false
    },
    trial: (trial: Mutants.Trial) => {
      mutants.push(trial.mutant.name)
      if (Mutants.survives(trial)) survivors.push(trial.mutant.name)
    },
    end: () => isSound && survivors.length === 0
  }
}
