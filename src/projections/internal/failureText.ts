/** What is kept of an error beside the event that it concerns: its name and its message, bounded, as text that every database takes. */

const mostCharacters = 1_000

export const failureText = (error: unknown): string =>
  textOf(error).replaceAll("\0", "").slice(0, mostCharacters).toWellFormed()

/** A message may be computed, and computing it may fail. */
const textOf = (error: unknown): string => {
  try {
    return error instanceof Error
      ? `${error.name}: ${error.message}`
      : typeof error === "string"
        ? error
        : kindOf(error)
  } catch {
    return "an error whose message cannot be read"
  }
}

/** A value that is no error may hold anything: only its tag is kept. */
const kindOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : typeof error
