// OpenAI's SDK. Usage: NAME FILE; prints the answers as JSON.
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';

const require = createRequire(process.env.MATRIX_MODULES);
const OpenAI = require('openai');
const { OpenAIRealtimeWS } = require('openai/realtime/ws');
const [name, file] = process.argv.slice(2);
const client = new OpenAI();
const chat = (content, more) => client.chat.completions.create({ model: 'gpt', messages: [{ role: 'user', content }], ...more });
const got = { get: (await client.models.list()).data.map((model) => model.id), stream: [] };
got.post = (await chat('hello')).choices[0].message.content;
for await (const chunk of await chat(name, { stream: true })) {
  const word = chunk.choices[0].delta.content;
  if (word) got.stream.push(word);
  if (word === 'a') await client.models.retrieve(`seen-${name}`);
}
const uploaded = await client.files.create({ file: createReadStream(file), purpose: 'assistants' });
got.upload = { length: uploaded.bytes, sha256: uploaded.id.slice('file-'.length) };
got.websocket = await new Promise((resolve, reject) => {
  const realtime = new OpenAIRealtimeWS({ model: 'gpt' }, client);
  realtime.on('error', reject);
  realtime.on('session.created', (event) => {
    realtime.close();
    resolve(event.type);
  });
});
console.log(JSON.stringify(got));
