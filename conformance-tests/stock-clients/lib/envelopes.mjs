// The envelopes of a page or of a message, byte for byte: JSON.parse would change some payloads.

/** The texts of the elements of `"events":[...]`. */
export function envelopes(text) {
  const found = [];
  let [depth, begin, quoted] = [0, 0, false];
  for (let at = text.indexOf('"events":[') + '"events":['.length; at < text.length; at += 1) {
    const character = text[at];
    if (quoted) {
      if (character === '\\') at += 1;
      else if (character === '"') quoted = false;
    } else if (character === '"') {
      quoted = true;
    } else if (character === '{' || character === '[') {
      if (depth === 0) begin = at;
      depth += 1;
    } else if (character === '}' || character === ']') {
      if (depth === 0) break;
      depth -= 1;
      if (depth === 0) found.push(text.slice(begin, at + 1));
    }
  }
  return found;
}

/** An event as a client has received it. */
export const received = (data) => ({ id: JSON.parse(data).cursor, data });
