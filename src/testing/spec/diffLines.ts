/** Two texts side by side, line by line: what both have, what only the first has (`-`), what only the second has (`+`). */
export const diffLines = (expected: ReadonlyArray<string>, actual: ReadonlyArray<string>): ReadonlyArray<string> => {
  const common = commonAfter(expected, actual)
  const lines: Array<string> = []
  let left = 0
  let right = 0
  while (left < expected.length || right < actual.length) {
    if (left < expected.length && right < actual.length && expected[left] === actual[right]) {
      lines.push(`  ${expected[left++]}`)
      right++
    } else if (
      right === actual.length ||
      (left < expected.length && common[left + 1]![right]! >= common[left]![right + 1]!)
    ) {
      lines.push(`- ${expected[left++]}`)
    } else {
      lines.push(`+ ${actual[right++]}`)
    }
  }
  return lines
}

/** How many lines the rests of both texts have in common, by where the rests start. */
const commonAfter = (
  expected: ReadonlyArray<string>,
  actual: ReadonlyArray<string>
): ReadonlyArray<ReadonlyArray<number>> => {
  const common = Array.from({ length: expected.length + 1 }, () => new Array<number>(actual.length + 1).fill(0))
  for (let left = expected.length - 1; left >= 0; left--) {
    for (let right = actual.length - 1; right >= 0; right--) {
      common[left]![right] =
        expected[left] === actual[right]
          ? common[left + 1]![right + 1]! + 1
          : Math.max(common[left + 1]![right]!, common[left]![right + 1]!)
    }
  }
  return common
}
