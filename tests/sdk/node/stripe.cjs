// The stripe SDK. Its options name a host and no path, so it comes by the doors that go by a host's name. Prints the amount
// of the charge it made, and whether it found that charge in the list, as JSON.
'use strict';

const http = require('node:http');
const { HttpProxyAgent } = require('http-proxy-agent');
const { HttpsProxyAgent } = require('https-proxy-agent');
const Stripe = require('stripe');

const { PROXY, DUMMY } = process.env;
const { port } = new URL(PROXY);

// Browsers and curl know that *.localhost is this machine; Node asks the system, and not every system knows.
const lookup = (_name, options, found) =>
  options.all ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4);

const doors = {
  host: { host: 'stripe.localhost', port, protocol: 'http', httpAgent: new http.Agent({ lookup, keepAlive: true }) },
  forward: { protocol: 'http', port: 80, httpAgent: new HttpProxyAgent(PROXY) },
  intercept: { httpAgent: new HttpsProxyAgent(PROXY) },
};

async function main() {
  const stripe = new Stripe(DUMMY, { ...doors[process.argv[2]], maxNetworkRetries: 0, telemetry: false });
  const made = await stripe.charges.create({ amount: 990, currency: 'eur', description: 'ink' });
  const list = await stripe.charges.list({ limit: 5 });
  return { amount: made.amount, listed: list.data.some((charge) => charge.id === made.id) };
}

main().then(
  (got) => {
    console.log(JSON.stringify(got));
    process.exit(0); // agents keep their connections, and with them the process
  },
  (failure) => {
    console.error(failure);
    process.exit(1);
  },
);
