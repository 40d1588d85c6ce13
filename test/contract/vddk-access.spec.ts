import { afterAll, describe, expect, it } from 'vitest';
import { MIB, silentLogger } from '../../src/common/index.js';
import { AccessHosts, type AccessRequest, RETRIES, type VddkError } from '../../src/vddk/index.js';
import { type FakeDoor, Workshop } from './vddk-fixtures.js';

const workshop = new Workshop();
afterAll(() => workshop.clear());

const SHORT = Object.fromEntries(Object.entries(RETRIES).map(([kind, { attempts }]) => [kind, { attempts, delayMs: 1 }]));

function request(door: FakeDoor, identity: string, changes: Partial<AccessRequest> = {}): AccessRequest {
  return {
    settings: workshop.settings({ memoryBytes: 16 * MIB, retries: SHORT, migrationWait: { attempts: 10, delayMs: 1 } }),
    target: () => door.target(),
    renewSession: async () => undefined,
    identity,
    log: silentLogger,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** The processes that asked for it, in order. */
const askers = (door: FakeDoor, op: string) => door.operations(op).map(({ process: pid }) => Number(pid));
const lives = (pid: number | undefined) => {
  try {
    return process.kill(pid as number, 0);
  } catch {
    return false;
  }
};

describe('AccessHosts', () => {
  it('keeps the process that prepared for access until its owner lets go, and ends access by it', async () => {
    const door = await workshop.openDoor();
    const hosts = new AccessHosts();
    await hosts.prepare('run', request(door, 'web'));
    await hosts.prepare('run', request(door, 'db'));
    const [pid, second] = askers(door, 'prepareForAccess');
    expect(second).toBe(pid);
    expect(lives(pid)).toBe(true);
    await hosts.end(request(door, 'web'));
    expect(lives(pid)).toBe(true);
    await hosts.end(request(door, 'db'));
    expect(askers(door, 'endAccess')).toEqual([pid, pid]);
    expect(door.operations('endAccess').map(({ identity }) => identity)).toEqual(['web', 'db']);
    await hosts.letGo('run');
    expect(lives(pid)).toBe(false);
    await hosts.letGo('run');
  });

  it('ends access by a process of its own where another worker, or a dead process, had prepared for it', async () => {
    const door = await workshop.openDoor();
    const hosts = new AccessHosts();
    await hosts.end(request(door, 'of a stranger'));
    expect(askers(door, 'endAccess').map(lives)).toEqual([false]);
    await hosts.prepare('run', request(door, 'web'));
    const [pid] = askers(door, 'prepareForAccess');
    process.kill(pid as number, 'SIGKILL');
    await expect.poll(() => lives(pid)).toBe(false);
    await hosts.end(request(door, 'web'));
    expect(askers(door, 'endAccess')[1]).not.toBe(pid);
    await hosts.letGo('run');
  });

  it('holds anew what a dead process held, once Cleanup may have let go of it, and nothing that is held', async () => {
    const door = await workshop.openDoor();
    const hosts = new AccessHosts();
    await hosts.prepare('run', request(door, 'web'));
    await hosts.prepare('another run', request(door, 'db'));
    const [pid] = askers(door, 'prepareForAccess');
    process.kill(pid as number, 'SIGKILL');
    await expect.poll(() => lives(pid)).toBe(false);
    const identities = () => door.operations('prepareForAccess').map(({ identity }) => identity);
    await expect.poll(() => hosts.holdAgain().then(identities)).toHaveLength(3);
    expect(identities()).toEqual(['web', 'db', 'web']);
    await hosts.holdAgain();
    expect(identities()).toHaveLength(3);
    for (const owner of ['run', 'another run']) await hosts.letGo(owner);
    await hosts.holdAgain();
    expect(identities()).toHaveLength(3);
  });

  it('holds nothing anew that its owner lets go of meanwhile', async () => {
    const door = await workshop.openDoor();
    const hosts = new AccessHosts();
    await hosts.prepare('run', request(door, 'web'));
    const [pid] = askers(door, 'prepareForAccess');
    process.kill(pid as number, 'SIGKILL');
    await expect.poll(() => lives(pid)).toBe(false);
    const holding = hosts.holdAgain();
    await hosts.letGo('run');
    await holding;
    expect(askers(door, 'prepareForAccess')).toEqual([pid]);
  });

  it.each([
    ['the connection is refused now and then', [14009, 14011], 3],
    ['Storage vMotion has the VM, ten times at the most', Array<number>(9).fill(1), 10],
    ['the host enters maintenance', [14014, 14014, 14014], 4],
  ])('tries again by the rules where %s', async (_, prepareForAccess, asked) => {
    const door = await workshop.openDoor({ refusals: { prepareForAccess } });
    const hosts = new AccessHosts();
    await hosts.prepare('run', request(door, 'web'));
    expect(door.operations('prepareForAccess')).toHaveLength(asked);
    await hosts.letGo('run');
  });

  it('logs in again when the session has ended, and waits for nothing that time does not mend', async () => {
    const door = await workshop.openDoor();
    let cookie = 'the session of before';
    const target = () => door.target({ credentials: { kind: 'session', userName: 'backup', cookie } });
    const renewSession = async () => {
      cookie = door.facts.cookie;
    };
    const hosts = new AccessHosts();
    await hosts.prepare('run', request(door, 'web', { target, renewSession }));
    expect(door.operations('prepareForAccess')).toHaveLength(1);
    const refusals: [number, number][] = [
      [4000, 1],
      [3014, 1],
      [1, 10],
      [14015, 1],
    ];
    for (const [vixError, asked] of refusals) {
      const closed = await workshop.openDoor({ accessVixError: vixError });
      const error = await hosts.prepare('run', request(closed, 'db')).then(
        () => undefined,
        (reason: unknown) => reason as VddkError,
      );
      expect(error?.vixCode).toBe(vixError);
      expect(closed.operations('prepareForAccess'), String(vixError)).toHaveLength(asked);
    }
    await hosts.letGo('run');
  });
});
