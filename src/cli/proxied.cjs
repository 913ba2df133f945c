// What `sidekey run` has Node load first (NODE_OPTIONS=--require): calls to https URLs go through the proxy of the environment,
// by tunnel, also where Node itself does not heed it: `fetch` before Node 24, and connections of agents that programs make
// themselves, in every version. Plain http is left alone, and so is an agent that has a proxy. Certificates are checked as ever.
'use strict';

const http = require('node:http');
const https = require('node:https');

const proxy = process.env.https_proxy || process.env.HTTPS_PROXY;

/** Whether calls to `host` go through the proxy: NO_PROXY names hosts, domains with all that is in them, or `*`. */
function isProxied(host, port) {
  if (!proxy || !host) return false;
  const name = bare(host);
  const direct = process.env.no_proxy || process.env.NO_PROXY || '';
  return !direct.toLowerCase().split(/[\s,]+/).filter(Boolean).some((entry) => {
    const [, only] = /^[^:]+:(\d+)$/.exec(entry) || [];
    const domain = bare(only ? entry.slice(0, -only.length - 1) : entry).replace(/^\*?\./, '');
    return entry === '*' || ((name === domain || name.endsWith(`.${domain}`)) && (!only || only === String(port)));
  });
}

/** A host without the brackets of an IPv6 address. */
function bare(host) {
  return host.toLowerCase().replace(/^\[(.*)\]$/, '$1');
}

/** Hands `done` a socket that reaches `host` through the proxy, or why there is none. */
function tunnel(host, port, done) {
  const { hostname, port: at, username, password } = new URL(proxy);
  const authority = `${host.includes(':') ? `[${bare(host)}]` : host}:${port}`;
  const user = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  const headers = { Host: authority, ...(username && { 'Proxy-Authorization': `Basic ${user}` }) };
  const asked = http.request({ host: bare(hostname), port: at || 80, method: 'CONNECT', path: authority, headers, agent: false });
  asked.once('error', done);
  asked.once('connect', (answer, socket, head) => {
    if (answer.statusCode === 200) {
      if (head.length > 0) socket.unshift(head);
      done(null, socket);
    } else {
      socket.destroy();
      done(new Error(`the proxy refuses a tunnel to ${authority}: ${answer.statusCode} ${reason(head)}`));
    }
  });
  asked.end();
}

/** What a refusal says, as far as it is there. */
function reason(body) {
  try {
    return JSON.parse(body.toString()).detail;
  } catch {
    return body.toString();
  }
}

const connect = https.Agent.prototype.createConnection;
https.Agent.prototype.createConnection = function createConnection(...all) {
  const [options, done] = [all[0], all.at(-1)];
  const isOurs = options !== null && typeof options === 'object' && typeof done === 'function'
    && !options.socket && !options.socketPath && !this.options.proxyEnv;
  if (!isOurs || !isProxied(options.host, options.port || 443)) return connect.apply(this, all);
  tunnel(options.host, options.port || 443, (error, socket) => {
    let secured;
    try {
      if (!error) secured = connect.call(this, { ...options, socket });
    } catch (thrown) {
      error = thrown;
    }
    done(error, secured);
  });
  return undefined;
};

// The WebSocket client `ws` connects by a function of its own where it is given no agent.
const request = https.request;
https.request = function (...all) {
  const at = all.findIndex((one) => one?.createConnection?.name === 'tlsConnect' && !one.agent && !one.socketPath);
  if (at >= 0) all[at] = { ...all[at], createConnection: undefined };
  return request.apply(this, all);
};
require('node:module').syncBuiltinESMExports();

// `fetch` and `undici` find here what sends their requests. Some versions of Node heed the proxy there, by NODE_USE_ENV_PROXY.
const DISPATCHER = Symbol.for('undici.globalDispatcher.1');
const heeds = parseInt(process.versions.node, 10) >= 24 || process.allowedNodeEnvironmentFlags.has('--use-env-proxy');
if (proxy && globalThis.fetch && !heeds) {
  // Has Node load its own undici, whose parts cannot be named; in Node 18 it warns that `fetch` is an experiment.
  const { emitWarning } = process;
  process.emitWarning = () => {};
  fetch('data:,').catch(() => {});
  process.emitWarning = emitWarning;
  globalThis[DISPATCHER] = proxied(globalThis[DISPATCHER]);
}

/** The agent `direct`, but through the proxy where that is due. */
function proxied(direct) {
  const tls = require('node:tls');
  const connect = ({ hostname, port, servername }, done) => {
    tunnel(hostname, port || 443, (error, socket) => {
      if (error) return done(error);
      const secured = tls.connect({ socket, servername: servername || hostname, ALPNProtocols: ['http/1.1'] });
      secured.once('error', done);
      secured.once('secureConnect', () => {
        secured.off('error', done);
        done(null, secured);
      });
    });
  };
  class Proxied extends direct.constructor {
    dispatch(options, handler) {
      const { protocol, hostname, port } = new URL(options.origin ?? 'http://localhost');
      const isDue = protocol === 'https:' && isProxied(hostname, port || 443);
      return isDue ? super.dispatch(options, handler) : direct.dispatch(options, handler);
    }
  }
  return new Proxied({ connect });
}
