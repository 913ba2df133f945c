// axios. Usage: BASE NAME FILE; prints the answers as JSON.
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';

const axios = createRequire(process.env.MATRIX_MODULES)('axios');
const [base, name, file] = process.argv.slice(2);
const got = { stream: [] };
got.get = (await axios.get(`${base}/v1/item?q=one`)).data;
got.post = (await axios.post(`${base}/v1/echo`, 'hello there')).data;
got.upload = (await axios.post(`${base}/v1/upload`, createReadStream(file), { maxRedirects: 0 })).data;
const { data } = await axios.get(`${base}/v1/stream`, { responseType: 'stream' });
let text = '';
for await (const part of data) {
  if (text === '') await axios.get(`${base}/v1/item?q=seen-${name}`);
  text += part;
}
got.stream = [...text.matchAll(/^data: (.*)$/gm)].map((match) => match[1]);
console.log(JSON.stringify(got));
