// Anthropic's SDK. Usage: NAME FILE; prints the answers as JSON.
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';

const Anthropic = createRequire(process.env.MATRIX_MODULES)('@anthropic-ai/sdk');
const [name, file] = process.argv.slice(2);
const client = new Anthropic();
const asked = (content) => ({ model: 'claude', max_tokens: 10, messages: [{ role: 'user', content }] });
const got = { get: (await client.models.list()).data.map((model) => model.id), stream: [] };
got.post = (await client.messages.create(asked('hello'))).content[0].text;
for await (const event of client.messages.stream(asked(name))) {
  if (event.type !== 'content_block_delta') continue;
  got.stream.push(event.delta.text);
  if (event.delta.text === 'a') await client.models.retrieve(`seen-${name}`);
}
const uploaded = await client.beta.files.upload({ file: createReadStream(file) });
got.upload = { length: uploaded.size_bytes, sha256: uploaded.id.slice('file_'.length) };
console.log(JSON.stringify(got));
