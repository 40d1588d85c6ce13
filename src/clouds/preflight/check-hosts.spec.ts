import { createServer, type AddressInfo, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { unreachableHosts } from './check-hosts.js';

let server: Server;
let port: number;
beforeAll(async () => {
  server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));

describe('unreachableHosts', () => {
  it('names hosts without an address and hosts that refuse, in the order they were asked for', async () => {
    const names = ['nobody.invalid', '127.0.0.1', '127.255.255.254'];
    const problems = await unreachableHosts(names, port, new AbortController().signal);
    expect(problems.map(({ name }) => name)).toEqual(['nobody.invalid', '127.255.255.254']);
    expect(problems[0]?.problem).toMatch(/^its name does not resolve \(E\w+\)$/);
    expect(problems[1]?.problem).toContain(`TCP ${port} at 127.255.255.254`);
  });

  it('is done with many hosts, each looked at once', async () => {
    expect(await unreachableHosts(Array(200).fill('127.0.0.1') as string[], port, new AbortController().signal)).toEqual([]);
  });

  it('says of what it had no time for that it was not looked at', async () => {
    const [problem] = await unreachableHosts(['127.0.0.1'], port, AbortSignal.abort());
    expect(problem?.problem).toContain('there was not time enough');
  });
});
