// ws. Usage: BASE NAME FILE; prints the answer as JSON.
import { createRequire } from 'node:module';

const WebSocket = createRequire(process.env.MATRIX_MODULES)('ws');
const [base] = process.argv.slice(2);
const websocket = await new Promise((resolve, reject) => {
  const socket = new WebSocket(`${base.replace('https:', 'wss:')}/v1/socket`);
  socket.on('open', () => socket.send('hello'));
  socket.on('error', reject);
  socket.on('message', (data) => {
    socket.close();
    resolve(data.toString());
  });
});
console.log(JSON.stringify({ websocket }));
