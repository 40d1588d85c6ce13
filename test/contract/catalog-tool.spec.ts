import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { catalog } from '../../src/catalog-tool.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vapp-vault-catalog-tool-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function run(argv: string[], environment: NodeJS.ProcessEnv = {}) {
  const complaints: string[] = [];
  const nothing = () => expect.unreachable('nothing was asked for');
  const code = await catalog(argv, { VAPP_VAULT_DATA_DIR: folder, ...environment }, nothing, (line) => complaints.push(line));
  return { code, complaint: complaints.join('\n') };
}

it.each([[[]], [['restore']], [['rebuild', 'twice']], [['rebuild', '--fast']]])('says how it is called instead of %j', async (argv) => {
  const { code, complaint } = await run(argv);
  expect(code).toBe(1);
  expect(complaint).toContain('usage:\n  vapp-vault-catalog rebuild');
});

it('makes neither a key nor a repository nor a database where there is none', async () => {
  const noKey = await run(['rebuild']);
  expect(noKey).toMatchObject({ code: 1, complaint: expect.stringContaining('master.key') });
  await writeFile(join(folder, 'key'), `${randomBytes(32).toString('base64')}\n`, { mode: 0o600 });
  const noRepository = await run(['rebuild'], { VAPP_VAULT_MASTER_KEY_FILE: join(folder, 'key') });
  expect(noRepository.code).toBe(1);
  expect(noRepository.complaint).toMatch(/^vapp-vault-catalog: There is no repository in this place \(no repository\.json\)/);
  expect(await readdir(folder, { recursive: true })).not.toEqual(
    expect.arrayContaining([expect.stringMatching(/repository\.json|postgres|keys\/master/)]),
  );
});
