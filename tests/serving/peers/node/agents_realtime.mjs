// A spoken order through @openai/agents-realtime, unchanged: node agents_realtime.mjs URL ORDER.
//
// ORDER is 16-bit PCM at 24 kHz, spoken at the pace of a microphone and followed by silence. What
// the client's user would see goes to standard output, one JSON object a line; the test reads it.

import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';

const CHUNK = 0.04; // seconds
const BYTES = 2 * 24_000 * CHUNK;
const PATIENCE = 40; // seconds for the whole call

const [url, recording] = process.argv.slice(2);
const tell = (event, about) => process.stdout.write(`${JSON.stringify({ event, ...about })}\n`);

const placeOrder = tool({
  name: 'place_order',
  description: 'Orders drinks.',
  parameters: {
    type: 'object',
    properties: { items: { type: 'array', items: { type: 'object' } } },
    required: ['items'],
    additionalProperties: true,
  },
  strict: false,
  execute: async (order) => {
    tell('call', { arguments: order });
    return 'The order is number 7.';
  },
});
const agent = new RealtimeAgent({
  name: 'barista',
  instructions: 'Take orders.',
  tools: [placeOrder],
});
const session = new RealtimeSession(agent, { transport: 'websocket' });

// The client asks for a response to the output of its tool: the call is over after that one.
let answered = false;
let done = 0;
session.on('error', ({ error }) => tell('error', { error: error?.error ?? String(error) }));
session.on('audio', ({ data }) => tell('audio', { data: Buffer.from(data).toString('base64') }));
session.on('agent_tool_end', (_context, _agent, { name }, result) => {
  tell('tool', { name, result });
  answered = true;
});
session.on('agent_end', (_context, _agent, text) => tell('said', { text }));
session.transport.on('conversation.item.input_audio_transcription.completed', ({ transcript }) =>
  tell('heard', { text: transcript }),
);
session.transport.on('response.done', ({ response }) => {
  tell('response', { status: response.status });
  done += 1;
});

// An event that the client's own schema does not fit is told under '*' and under no other name.
const received = {};
const understood = {};
session.transport.on('*', ({ type }) => {
  if (!(type in received)) {
    received[type] = understood[type] = 0;
    session.transport.on(type, () => (understood[type] += 1));
  }
  received[type] += 1;
});

await session.connect({ apiKey: 'x', url });
const order = await readFile(recording);
const began = performance.now();
for (let sent = 0; !(answered && done >= 2); sent += 1) {
  if (sent * CHUNK > PATIENCE) throw new Error(`not over after ${PATIENCE} s`);
  const piece = new Uint8Array(BYTES);
  piece.set(order.subarray(sent * BYTES, (sent + 1) * BYTES));
  session.sendAudio(piece.buffer);
  await sleep(Math.max(0, began + (sent + 1) * CHUNK * 1000 - performance.now()));
}
tell('history', { items: session.history });
tell('events', { received, understood });
session.close();
