// undici from npm. Usage: BASE NAME FILE; prints the answers as JSON.
import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';

const { request, WebSocket } = createRequire(process.env.MATRIX_MODULES)('undici');
const [base, name, file] = process.argv.slice(2);
const ask = async (path, options) => (await request(base + path, options)).body.json();
const got = { stream: [] };
got.get = await ask('/v1/item?q=one');
got.post = await ask('/v1/echo', { method: 'POST', body: 'hello there' });
got.upload = await ask('/v1/upload', { method: 'POST', body: createReadStream(file) });
const { body } = await request(`${base}/v1/stream`);
let text = '';
for await (const part of body) {
  if (text === '') await ask(`/v1/item?q=seen-${name}`);
  text += part;
}
got.stream = [...text.matchAll(/^data: (.*)$/gm)].map((match) => match[1]);
got.websocket = await new Promise((resolve, reject) => {
  const socket = new WebSocket(`${base.replace('https:', 'wss:')}/v1/socket`);
  socket.addEventListener('open', () => socket.send('hello'));
  socket.addEventListener('error', (event) => reject(event.error ?? new Error(event.message)));
  socket.addEventListener('message', (event) => {
    socket.close();
    resolve(event.data);
  });
});
console.log(JSON.stringify(got));
