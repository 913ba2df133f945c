// Node's own fetch. Usage: BASE NAME FILE; prints the answers as JSON.
import { readFileSync } from 'node:fs';

const [base, name, file] = process.argv.slice(2);
const ask = async (path, options) => (await fetch(base + path, options)).json();
const got = { stream: [] };
got.get = await ask('/v1/item?q=one');
got.post = await ask('/v1/echo', { method: 'POST', body: 'hello there' });
got.upload = await ask('/v1/upload', { method: 'POST', body: readFileSync(file) });
const answer = await fetch(`${base}/v1/stream`);
let text = '';
for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
  if (text === '') await ask(`/v1/item?q=seen-${name}`);
  text += part;
}
got.stream = [...text.matchAll(/^data: (.*)$/gm)].map((match) => match[1]);
console.log(JSON.stringify(got));
