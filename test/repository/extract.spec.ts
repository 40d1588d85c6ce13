import { readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { extract } from '../../src/extract.js';
import { diskOf, openQcow2, openSparseVmdk, openStream, partsOf } from '../../src/image/testing-readers.js';
import { keys } from '../../src/keys.js';
import { organizationFolder } from '../../src/repository/format.js';
import { writeRecoveryKey } from '../../src/repository/index.js';
import { backUp, CHUNK_BYTES, makeWorkspace, names, ORGANIZATION, OTHER_ORGANIZATION, pattern, type Workspace } from './fixture.js';

const CAPACITY_BYTES = 300 * CHUNK_BYTES - 512;
const chunks = new Map([0, 1, 7, 150, 298].map((i) => [i, pattern('extract', i)]));
chunks.set(299, pattern('extract', 299, CHUNK_BYTES - 512));

let workspace: Workspace;
let keyFile: string;
let image: string;
beforeEach(async () => {
  workspace = await makeWorkspace();
  keyFile = `${workspace.folder}.key`;
  image = `${workspace.folder}.img`;
  await writeFile(keyFile, `${workspace.masterKey.toString('base64')}\n`, { mode: 0o600 });
  await backUp(workspace.repository, 'rp-1', chunks, { capacityBytes: CAPACITY_BYTES });
});
afterEach(async () => {
  for (const path of [keyFile, `${keyFile}.new`, image]) await rm(path, { force: true });
  await workspace.remove();
});

async function run(program: typeof extract, ...argv: string[]) {
  const said: string[] = [];
  const complained: string[] = [];
  const code = await program(
    argv,
    (line) => said.push(line),
    (line) => complained.push(line),
  );
  return { code, said: said.join('\n'), complained: complained.join('\n') };
}
const common = () => ['--repository', workspace.folder, '--key-file', keyFile];
const disk = (...more: string[]) =>
  run(extract, 'disk', ...common(), '--restore-point', 'rp-1', '--disk', 'disk-2000', '--output', image, ...more);

async function expectImage(except: readonly number[] = []): Promise<void> {
  const bytes = await readFile(image);
  expect(bytes).toHaveLength(CAPACITY_BYTES);
  for (let i = 0; i < 300; i += 1) {
    const expected = except.includes(i) ? undefined : chunks.get(i);
    const found = bytes.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES);
    expect(found.equals(expected ?? Buffer.alloc(found.length)), `chunk ${i}`).toBe(true);
  }
}

async function damageOneChunk(): Promise<void> {
  const pack = (await names(workspace.store, 'orgs/')).find((name) => name.includes('/packs/')) as string;
  const bytes = await readFile(join(workspace.folder, pack));
  bytes[200] = (bytes[200] as number) ^ 1;
  await writeFile(join(workspace.folder, pack), bytes);
}

describe('vapp-vault-extract', () => {
  it.each(['vmdk', 'vmdk-stream-optimized', 'qcow2'])('writes a disk as %s, and leaves none that is not whole', async (format) => {
    const { code, said } = await disk('--format', format);
    expect(code).toBe(0);
    const bytes = await readFile(image);
    expect(JSON.parse(said)).toEqual({ image, format, capacityBytes: CAPACITY_BYTES, imageBytes: bytes.length });
    const opened =
      format === 'vmdk'
        ? await openSparseVmdk(partsOf(bytes))
        : format === 'qcow2'
          ? await openQcow2(partsOf(bytes), bytes.length)
          : await openStream(bytes);
    await writeFile(image, await diskOf(opened));
    await expectImage();

    await rm(image);
    expect((await disk('--format', format, '--keep-going')).complained).toContain('--keep-going is for raw images only');
    await damageOneChunk();
    expect((await disk('--format', format)).complained).toMatch(/chunk \d+ of disk "disk-2000" damaged/);
    await expect(stat(image)).rejects.toMatchObject({ code: 'ENOENT' });
  });

  it('lists restore points and restores a disk, sparse, without changing the repository', async () => {
    const before = (await readdir(workspace.folder, { recursive: true })).sort();
    const { code, said } = await run(extract, 'list', ...common());
    expect(code).toBe(0);
    expect(JSON.parse(said)).toMatchObject({
      organizationId: ORGANIZATION,
      restorePointId: 'rp-1',
      disks: [{ diskId: 'disk-2000', capacityBytes: CAPACITY_BYTES }],
    });
    expect(await disk()).toMatchObject({ code: 0, complained: '' });
    await expectImage();
    expect((await stat(image)).blocks * 512).toBeLessThan(CAPACITY_BYTES / 4);
    expect((await run(extract, 'verify', ...common())).code).toBe(0);
    expect((await readdir(workspace.folder, { recursive: true })).sort()).toEqual(before);
  });

  it('takes the key from a command, and exactly one source of it', async () => {
    const place = ['--repository', workspace.folder];
    expect((await run(extract, 'list', ...place, '--key-command', `cat ${keyFile}`)).code).toBe(0);
    const twice = await run(extract, 'list', ...common(), '--key-command', 'true');
    expect([twice.code, twice.complained]).toEqual([1, expect.stringMatching(/exactly one of .*--key-command/)]);
    expect((await run(extract, 'list', ...place)).code).toBe(1);
  });

  it.each([
    ['s3://', /is not s3:\/\/BUCKET/],
    ['s3://bucket/prefix', /credentials/i],
  ])('says what is wrong with the bucket %s', async (repository, complaint) => {
    const missing = ['--s3-credentials-file', `${workspace.folder}/none`, '--s3-endpoint', 'http://127.0.0.1:9'];
    const { code, complained } = await run(extract, 'list', '--repository', repository, ...missing, '--key-file', keyFile);
    expect(code).toBe(1);
    expect(complained).toMatch(complaint);
  });

  it('lists and restores what has its key, beside an organization whose key is damaged', async () => {
    await backUp(workspace.repository, 'rp-2', chunks, { organizationId: OTHER_ORGANIZATION, capacityBytes: CAPACITY_BYTES });
    const [name] = (await names(workspace.store, 'keys/')).filter((key) => key !== `keys/${organizationFolder(ORGANIZATION)}.json`);
    await truncate(join(workspace.folder, name as string), 40);
    const { code, said } = await run(extract, 'list', ...common());
    expect(code).toBe(3);
    const lines = said.split('\n').map((line) => JSON.parse(line));
    expect(lines).toContainEqual({ damaged: expect.stringMatching(new RegExp(`^The organization key ${name} is not JSON`)) });
    expect(lines).toContainEqual(expect.objectContaining({ restorePointId: 'rp-1' }));
    expect((await disk()).code).toBe(0);
  });

  it('opens with the recovery key', async () => {
    const recovery = `${keyFile}.new`;
    await writeFile(recovery, await writeRecoveryKey(workspace.store, workspace.masterKey));
    const { code } = await run(extract, 'list', '--repository', workspace.folder, '--recovery-key-file', recovery);
    expect(code).toBe(0);
  });

  it('stops at damage and names it, or goes on and lists it, and notes nothing', async () => {
    await damageOneChunk();
    const stopped = await disk();
    expect(stopped).toMatchObject({ code: 1 });
    expect(stopped.complained).toMatch(/chunk \d+ of disk "disk-2000" damaged, in pack/);
    await rm(image);
    const went = await disk('--keep-going');
    expect(went.code).toBe(3);
    const { offsetBytes } = JSON.parse(went.said.split('\n')[0] as string) as { offsetBytes: number };
    await expectImage([offsetBytes / CHUNK_BYTES]);
    expect((await run(extract, 'verify', ...common())).code).toBe(3);
    expect(await names(workspace.store, 'orgs/')).not.toContainEqual(expect.stringContaining('/bad/'));
  });

  it.each([
    ['a missing command', () => run(extract, ...common()), /usage/],
    ['an unknown option', () => run(extract, 'list', '--nonsense'), /usage/],
    [
      'an unknown restore point',
      () => run(extract, 'disk', ...common(), '--restore-point', 'x', '--disk', 'd', '--output', image),
      /no restore point x/,
    ],
    [
      'an unknown disk',
      () => run(extract, 'disk', ...common(), '--restore-point', 'rp-1', '--disk', 'd', '--output', image),
      /it has disk-2000/,
    ],
    [
      'an output that exists',
      () => run(extract, 'disk', ...common(), '--restore-point', 'rp-1', '--disk', 'disk-2000', '--output', keyFile),
      /exists already/,
    ],
    [
      'no repository',
      () => run(extract, 'list', '--repository', join(workspace.folder, 'keys'), '--key-file', keyFile),
      /There is no repository in .*keys/,
    ],
    [
      'a foreign key',
      async () => {
        await writeFile(keyFile, `${Buffer.alloc(32).toString('base64')}\n`);
        return run(extract, 'list', ...common());
      },
      /master key is not that of repository/,
    ],
    [
      'a repository of a newer version',
      async () => {
        const path = join(workspace.folder, 'repository.json');
        await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), formatVersion: 2 }));
        return run(extract, 'list', ...common());
      },
      /format version 2/,
    ],
    [
      'an empty description',
      async () => {
        await truncate(join(workspace.folder, 'repository.json'), 0);
        return run(extract, 'list', ...common());
      },
      /the repository, repository.json, is damaged/,
    ],
    [
      'a key file that is cut short',
      async () => {
        await truncate(join(workspace.folder, (await names(workspace.store, 'keys/'))[0] as string), 40);
        return disk();
      },
      /is not JSON/,
    ],
  ])('says what is wrong with %s in one sentence', async (_what, attempt, message) => {
    const { code, complained } = await attempt();
    expect(code).toBe(1);
    expect(complained).toMatch(message);
    expect(complained).not.toMatch(/ {4}at /);
  });
});

describe('vapp-vault-keys', () => {
  it('rotates the master key, makes a recovery key, and shreds', async () => {
    const fresh = `${keyFile}.new`;
    expect(await run(keys, 'rotate', ...common(), '--new-key-file', fresh)).toMatchObject({ code: 0, complained: '' });
    expect((await run(extract, 'list', ...common())).code).toBe(1);
    const now = ['--repository', workspace.folder, '--key-file', fresh];
    expect((await run(extract, 'list', ...now)).code).toBe(0);
    const recovery = (await run(keys, 'recovery', ...now)).said;
    expect(recovery).toMatch(/^vvrk1(-[0-9a-f]{8}){9}$/);
    const [paper, again] = [`${workspace.folder}/paper`, `${workspace.folder}/again.key`];
    await writeFile(paper, recovery);
    const recover = ['recover', '--repository', workspace.folder, '--recovery-key-file', paper, '--new-key-file', again];
    expect(await run(keys, ...recover)).toMatchObject({ code: 0 });
    expect(await readFile(again)).toEqual(await readFile(fresh));
    // Never over a file that is there.
    expect(await run(keys, ...recover)).toMatchObject({ code: 1 });
    expect(await run(keys, 'shred', ...now, '--organization', ORGANIZATION)).toMatchObject({ code: 1 });
    expect(await run(keys, 'shred', ...now, '--organization', ORGANIZATION, '--yes')).toMatchObject({ code: 0 });
    expect(await run(extract, 'list', ...now)).toMatchObject({ code: 0, said: '' });
  });
});
