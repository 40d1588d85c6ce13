import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { CancelledError, silentLogger } from '../common/index.js';
import { OpenCloud } from './cloud-sessions.js';

const INSTANCE_UUID = '2e7bdc1f-57a3-4a86-8f43-8f6a3c8f2a11';
const sockets = new Set<Socket>();
let silent: Server;
beforeAll(async () => {
  silent = createServer((socket) => sockets.add(socket.resume().on('error', () => undefined))).listen(0, '127.0.0.1');
  await once(silent, 'listening');
});
afterAll(() => {
  for (const socket of sockets) socket.destroy();
  silent.close();
});

it('ends the wait of a run that is cancelled while a server takes connections and says nothing', async () => {
  const url = `https://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const trust = { thumbprint: 'AB'.repeat(20) };
  const account = { login: 'password', userName: 'vault', password: 'secret' } as const;
  const logins = async () => ({
    vcd: { url, organization: 'System', trust, ...account },
    vcenters: [{ instanceUuid: INSTANCE_UUID, url: `${url}/sdk`, trust, ...account }],
  });
  const cloud = new OpenCloud('c', 'prod', 1, logins as never, silentLogger);
  const run = new AbortController();
  const waits = [cloud.vcd(run.signal), cloud.vcenter(INSTANCE_UUID, run.signal), cloud.vcenter(INSTANCE_UUID, run.signal)];
  const ends = Promise.allSettled(waits);
  await expect.poll(() => sockets.size, { timeout: 10_000 }).toBeGreaterThanOrEqual(2);
  run.abort(new CancelledError('enough'));
  for (const end of await ends) expect(end).toMatchObject({ status: 'rejected', reason: { message: 'enough' } });
});
