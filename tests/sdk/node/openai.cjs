// The openai SDK, told nothing but an address. Prints what the asked-for part got, as JSON.
'use strict';

const OpenAI = require('openai');

const { PROXY, DUMMY } = process.env;
const client = new OpenAI({ apiKey: DUMMY, baseURL: `${PROXY}/openai/v1`, maxRetries: 0 });
const question = { model: 'gpt-large', messages: [{ role: 'user', content: 'hello there' }] };

const parts = {
  async chat() {
    const answer = await client.chat.completions.create(question);
    return answer.choices[0].message.content;
  },
  async stream() {
    let text = '';
    let events = 0;
    for await (const event of await client.chat.completions.create({ ...question, stream: true })) {
      text += event.choices[0].delta.content ?? '';
      events += 1;
    }
    return { text, events };
  },
  async models() {
    const names = [];
    for await (const model of client.models.list()) names.push(model.id);
    return names;
  },
};

parts[process.argv[2]]().then(
  (got) => console.log(JSON.stringify(got)),
  (failure) => {
    console.error(failure);
    process.exitCode = 1;
  },
);
