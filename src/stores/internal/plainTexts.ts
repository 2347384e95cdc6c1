/**
 * JSON arrays of texts, as tags are stored, read without the parser where there is nothing to unescape. The parser looks up short texts
 * in a table of all that there are, which costs more than copying them.
 */

/** A longer part of a text keeps the whole of it alive; and the parser looks up none of more than 10 characters. */
const longestCopy = 12

/** The texts of each of the arrays, which are joined by commas. `undefined` for anything else, and where a text is long. */
export const shortTextLists = (joined: string): Array<Array<string>> | undefined => textLists(joined, longestCopy)

/** The texts of one array, whose own text they may keep alive; `undefined` for anything else. */
export const plainTexts = (json: string): Array<string> | undefined => {
  const lists = textLists(json, json.length)
  return lists?.length === 1 ? lists[0] : undefined
}

const [quote, comma, opening, closing] = [0x22, 0x2c, 0x5b, 0x5d]

/** A backslash, or what JSON does not have unescaped: anything before the space. */
const unusual = /[^ -[\]-\uffff]/

/** The texts of the array that is being read: the list is cut out of it, as long as it has to be. */
const collected: Array<string> = []

const textLists = (joined: string, longest: number): Array<Array<string>> | undefined => {
  if (unusual.test(joined)) return undefined
  const lists: Array<Array<string>> = []
  let at = 0
  while (joined.charCodeAt(at) === opening) {
    let count = 0
    if (joined.charCodeAt(at + 1) === closing) at++
    else {
      do {
        const start = at + 2
        if (joined.charCodeAt(at + 1) !== quote) return undefined
        for (at = start; joined.charCodeAt(at) !== quote; at++) if (at - start === longest) return undefined
        collected[count++] = joined.slice(start, at)
        at++
      } while (joined.charCodeAt(at) === comma)
      if (joined.charCodeAt(at) !== closing) return undefined
    }
    lists.push(collected.slice(0, count))
    at++
    if (at === joined.length) return lists
    if (joined.charCodeAt(at) !== comma) return undefined
    at++
  }
  return undefined
}
