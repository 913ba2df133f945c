// Stripe's SDK. Usage: NAME FILE; prints the answers as JSON.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const Stripe = createRequire(process.env.MATRIX_MODULES)('stripe');
const [, file] = process.argv.slice(2);
const client = new Stripe(process.env.STRIPE_API_KEY);
const got = { get: (await client.customers.list()).data };
got.post = (await client.customers.create({ email: 'hello@example.test' })).email;
const data = { data: readFileSync(file), name: 'evidence', type: 'application/octet-stream' };
const uploaded = await client.files.create({ purpose: 'dispute_evidence', file: data });
got.upload = { length: uploaded.size, sha256: uploaded.id.slice('file_'.length) };
console.log(JSON.stringify(got));
