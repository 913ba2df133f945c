// got. Usage: BASE NAME FILE; prints the answers as JSON.
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const { got: client } = await import(pathToFileURL(createRequire(process.env.MATRIX_MODULES).resolve('got')));
const [base, name, file] = process.argv.slice(2);
const got = { stream: [] };
got.get = await client(`${base}/v1/item?q=one`).json();
got.post = await client.post(`${base}/v1/echo`, { body: 'hello there' }).json();
got.upload = await client.post(`${base}/v1/upload`, { body: createReadStream(file) }).json();
let text = '';
for await (const part of client.stream(`${base}/v1/stream`)) {
  if (text === '') await client(`${base}/v1/item?q=seen-${name}`);
  text += part;
}
got.stream = [...text.matchAll(/^data: (.*)$/gm)].map((match) => match[1]);
console.log(JSON.stringify(got));
