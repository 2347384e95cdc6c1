/**
 * Arrays as parameters in PostgreSQL's binary format (`array_send`): dimensions, a flag for nulls, the element type's oid, length
 * and lower bound, then each element with its length. The driver sends buffers as they are, so nothing is quoted here and
 * parsed there.
 */

const oid = { int4: 23, int8: 20, text: 25, uuid: 2950 }
const headerBytes = 20

const begin = (elementType: number, count: number, elementBytes: number): Buffer => {
  const buffer = Buffer.allocUnsafe(headerBytes + count * 4 + elementBytes)
  buffer.writeInt32BE(1, 0)
  buffer.writeInt32BE(1, 4)
  buffer.writeInt32BE(elementType, 8)
  buffer.writeInt32BE(count, 12)
  buffer.writeInt32BE(1, 16)
  return buffer
}

/** `int4[]` of signed 32-bit integers. */
export const int4s = (values: ReadonlyArray<number>): Buffer => {
  const buffer = begin(oid.int4, values.length, values.length * 4)
  let at = headerBytes
  for (const value of values) {
    at = buffer.writeInt32BE(4, at)
    at = buffer.writeInt32BE(value, at)
  }
  return buffer
}

/** `int8[]` of safe integers that are not negative, or nulls. */
export const int8s = (values: ReadonlyArray<number | null>): Buffer => {
  let known = 0
  for (const value of values) if (value !== null) known++
  const buffer = begin(oid.int8, values.length, known * 8)
  let at = headerBytes
  for (const value of values) {
    at = buffer.writeInt32BE(value === null ? -1 : 8, at)
    if (value === null) continue
    at = buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at)
    at = buffer.writeUInt32BE(value % 0x1_0000_0000, at)
  }
  return buffer
}

/** `text[]` of texts without NUL, or nulls. */
export const texts = (values: ReadonlyArray<string | null>): Buffer => {
  let bytes = 0
  for (const value of values) if (value !== null) bytes += Buffer.byteLength(value)
  const buffer = begin(oid.text, values.length, bytes)
  let at = headerBytes
  for (const value of values) {
    const written = value === null ? -1 : buffer.write(value, at + 4)
    buffer.writeInt32BE(written, at)
    at += 4 + Math.max(0, written)
  }
  return buffer
}

/** `uuid[]`. */
export const uuids = (values: ReadonlyArray<string>): Buffer => {
  const buffer = begin(oid.uuid, values.length, values.length * 16)
  let at = headerBytes
  for (const value of values) {
    at = buffer.writeInt32BE(16, at)
    at += buffer.write(value.replaceAll("-", ""), at, "hex")
  }
  return buffer
}
