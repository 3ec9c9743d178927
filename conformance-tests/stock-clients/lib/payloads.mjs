// Payloads that a careless encoder splits, repeats or loses.

const json = (name, type, data) => ({ name, type, json: data });
const bytes = (name, type, contentType, data) => ({
  name, type, contentType, base64: Buffer.from(data).toString('base64'),
});
const pretty = (end) => ['{', '  "gate": "C71",', '', '  "legs": [ 1,', '', '2 ]', '}'].join(end);

export const payloads = [
  json('pretty-printed, LF', 'FlightScheduled', pretty('\n')),
  json('pretty-printed, CRLF', 'FlightScheduled', pretty('\r\n')),
  json('pretty-printed, CR', 'FlightScheduled', pretty('\r')),
  json('blank lines', 'BoardingStarted', '{ \n\n\r\n\r\n\r\r }'),
  json('line ends of Unicode', 'FlightDelayed', '{"raw":"a\u2028b\u2029c\u0085d","\u2028":"\ufeff"}'),
  json('four-byte characters', 'FlightDelayed', '["🛫","\\ud83d\\udeec","\u{10ffff}"]'),
  json('fields of a stream', 'FlightDeparted', JSON.stringify({ note: 'data: x\n\nid: 1\r\nevent: feed.bye\rretry: 0\n\n:' })),
  json('members of an envelope', 'FlightDeparted', '{"cursor":"7fffffffffffffff-00000000","id":"","frame":"bye","data":{}}'),
  json('a type called error', 'error', '{"readyState":2}'),
  json('a type called like a frame', 'feed.bye', '{"frame":"bye","reconnect_after_ms":0}'),
  json('numbers above 2^53', 'FlightLanded', '[9007199254740993,0.10000000000000000555,1E300,-0]'),
  json('a name twice', 'FlightLanded', '{"gate":"A","gate":"B","\\u0000":"\\u0000"}'),
  json('nothing', 'FlightCancelled', 'null'),
  json('an empty text', 'FlightCancelled', '""'),
  json('70 kB in one line', 'FlightDiverted', JSON.stringify({ text: 'data: '.repeat(11_700) })),
  json('70 kB in 23,000 lines', 'FlightDiverted', `[${'1,\n'.repeat(23_000)}1]`),
  bytes('every byte', 'FlightPhotographed', 'application/octet-stream', Array.from({ length: 256 }, (_, byte) => byte)),
  bytes('text with line ends', 'FlightPhotographed', 'text/plain', 'data: x\r\n\r\nid: 1\n\n\revent: feed.bye\n\n'),
  bytes('no byte', 'FlightPhotographed', 'image/png', ''),
];

/** The payload as it has to be in an envelope: exactly what was stored, on one line. */
export function onTheWire({ json, base64, contentType }) {
  if (json === undefined) return `"data_base64":"${base64}","content_type":"${contentType}"`;
  return `"data":${json.replaceAll(/[\r\n]/g, ' ')}`;
}
