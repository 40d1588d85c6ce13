/** What a harness waits for must end, and say what never came: a sweep runs for hours with nobody looking. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deadline } from '../../demo/deadline.js';
import { ServiceClient } from '../../demo/service-client.js';

describe('a service that goes silent', () => {
  let server: Server;
  let url: string;
  beforeAll(async () => {
    server = createServer((request, response) => {
      if (request.url === '/never') return;
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: {"id":"run-1","endedAt":null}\n\n');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it('in the middle of a run is waited for no longer than was said, and the run is named', async () => {
    const seen: unknown[] = [];
    const client = new ServiceClient(url, 'key', undefined);
    await expect(client.follow('run-1', (run) => seen.push(run), 1_000)).rejects.toThrow('Run run-1 did not finish within 1 s');
    expect(seen).toEqual([{ id: 'run-1', endedAt: null }]);
  });

  it('before its answer is given up by name', async () => {
    const signal = deadline('The answer to GET /never', 1_000);
    await expect(fetch(`${url}/never`, { signal })).rejects.toThrow('The answer to GET /never did not finish within 1 s');
  });
});
