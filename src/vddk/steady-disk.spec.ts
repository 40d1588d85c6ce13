import { describe, expect, it, vi } from 'vitest';
import { silentLogger } from '../common/index.js';
import type { LiveHost, LiveHosts } from './live-host.js';
import { SteadyDisk } from './steady-disk.js';
import type { VddkDiskApi } from './types.js';

/** One host whose only disk is opened by `transportMode`, and whose Close fails. */
function hostsWith(transportMode: string): LiveHosts {
  const disk = {
    capacityBytes: 512,
    transportMode,
    close: () => Promise.reject(new Error('the connection is gone')),
  } as unknown as VddkDiskApi;
  const live = {} as LiveHost;
  return {
    options: {
      transport: { modes: ['nbdssl'], fallback: 'refuse', compression: 'none' },
      readOnly: true,
      signal: new AbortController().signal,
      warn: () => undefined,
      log: silentLogger,
    },
    moment: Promise.resolve(live),
    steadily: (work: (on: LiveHost) => Promise<unknown>) => work(live),
    connection: async () => ({ openDisk: async () => disk, disconnect: async () => undefined }),
  } as unknown as LiveHosts;
}

describe('SteadyDisk', () => {
  it('says why it refuses a disk, also where that does not close, and gives back its permit', async () => {
    const release = vi.fn();
    const disk = new SteadyDisk(hostsWith('nbd'), '[ds] web/web.vmdk', 'nbdssl', async () => release);
    await expect(disk.open(new AbortController().signal)).rejects.toMatchObject({ code: 'TRANSPORT_FELL_BACK' });
    expect(release).toHaveBeenCalledOnce();
  });
});
