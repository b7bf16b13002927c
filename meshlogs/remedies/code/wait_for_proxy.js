// Wait until the pod's proxy is ready: `await waitForProxy()` before the first connection is opened. Node 14 or newer.
'use strict';

const http = require('http');

function ready(url) {
  return new Promise((resolve) => {
    const request = http.get(url, { timeout: 1000, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false)); // not yet listening
  });
}

/**
 * Resolves when PROXY_READY_URL answers 200; at once where the variable is not set (a pod that has no proxy).
 * Rejects after `limitMs` milliseconds.
 */
async function waitForProxy(limitMs = 300000) {
  const url = process.env.PROXY_READY_URL;
  if (!url) return;
  const deadline = Date.now() + limitMs;
  while (!(await ready(url))) {
    if (Date.now() >= deadline) throw new Error(`the proxy is not ready at ${url} after ${limitMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

module.exports = { waitForProxy };
