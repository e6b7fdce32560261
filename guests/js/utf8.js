// UTF-8, which QuickJS does not offer by itself.

/** The text that the bytes are; what is no UTF-8 becomes U+FFFD, one for each byte. */
export function text(bytes) {
  const units = [];
  let out = "";
  for (let at = 0; at < bytes.length; ) {
    const [point, length] = read(bytes, at);
    if (point > 0xffff) units.push(0xd800 + ((point - 0x10000) >> 10), 0xdc00 + ((point - 0x10000) & 0x3ff));
    else units.push(point);
    at += length;
    if (units.length > 4096) out += String.fromCharCode(...units.splice(0));
  }
  return out + String.fromCharCode(...units);
}

/** The bytes of a text; a lone surrogate becomes U+FFFD. */
export function bytes(string) {
  const out = [];
  for (const char of string) {
    const point = char.codePointAt(0);
    if (point < 0x80) out.push(point);
    else if (point < 0x800) out.push(0xc0 | (point >> 6), tail(point));
    else if (point >= 0xd800 && point < 0xe000) out.push(0xef, 0xbf, 0xbd);
    else if (point < 0x10000) out.push(0xe0 | (point >> 12), tail(point >> 6), tail(point));
    else out.push(0xf0 | (point >> 18), tail(point >> 12), tail(point >> 6), tail(point));
  }
  return Uint8Array.from(out);
}

const tail = (bits) => 0x80 | (bits & 0x3f);

/** The code point at `at` and how many bytes it takes. */
function read(bytes, at) {
  const first = bytes[at];
  if (first < 0x80) return [first, 1];
  const length = first >= 0xf0 && first < 0xf5 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first >= 0xf5) return [0xfffd, 1];
  let point = first & (0xff >> (length + 1));
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i];
    if (next === undefined || (next & 0xc0) !== 0x80) return [0xfffd, 1];
    point = (point << 6) | (next & 0x3f);
  }
  const overlong = point < [0, 0, 0x80, 0x800, 0x10000][length];
  const refused = overlong || point > 0x10ffff || (point >= 0xd800 && point < 0xe000);
  return refused ? [0xfffd, 1] : [point, length];
}
