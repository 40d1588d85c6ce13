import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BodyRecord, RECORD_DIR_VARIABLE } from '../../simulator/vcd/body-record.js';
import { defaultVariants, type RecordedExchange } from '../../simulator/vcd/index.js';

const RUN = fileURLToPath(new URL('run.mjs', import.meta.url));
const VCLOUD = 'xmlns="http://www.vmware.com/vcloud/v1.5"';
const RULE = `<Name>apart</Name><IsEnabled>true</IsEnabled><IsMandatory>false</IsMandatory><Polarity>Affinity</Polarity>`;

describe('the bodies of a run', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vapp-vault-bodies-spec-'));
  afterEach(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });
  const record = (): BodyRecord => {
    vi.stubEnv(RECORD_DIR_VARIABLE, folder);
    return BodyRecord.ofEnvironment() as BodyRecord;
  };
  const exchange = (more: Partial<RecordedExchange>): RecordedExchange => ({
    ...{ door: 'vcd', method: 'PUT', path: '/api/vmAffinityRule/0b2c7bb0-5b8e-4c2f-9a57-3f6a2f1f0c11', status: 200 },
    ...{ requestHeaders: {}, requestBody: '', responseHeaders: {}, responseBody: '' },
    ...more,
  });
  const rule = (id: string): string => `<VmAffinityRule ${VCLOUD} id="${id}">${RULE}<VmReferences/></VmAffinityRule>`;

  it('are kept once for each shape, without secrets, and without what is wrong on purpose', () => {
    const bodies = record();
    const ids = ['0b2c7bb0-5b8e-4c2f-9a57-3f6a2f1f0c11', '77de0f0e-64f0-4a39-8a92-7d3b9a6d0a02'];
    for (const id of ids) bodies.add(exchange({ responseBody: rule(id) }), defaultVariants());
    bodies.add(exchange({ responseBody: '<AdminPassword>hunter2</AdminPassword>' }), defaultVariants());
    bodies.add(exchange({ responseBody: '<Other/>' }), { ...defaultVariants(), unknownContent: 'added' });
    bodies.add(exchange({ status: 400, requestBody: '<Wrong/>', responseBody: '{"json":true}' }), defaultVariants());
    const files = readdirSync(folder).filter((name) => name.endsWith('.xml'));
    expect(files).toHaveLength(2);
    expect(files.map((name) => readFileSync(join(folder, name), 'utf8')).join()).not.toContain('hunter2');
    const service = { 'x-vmware-vcloud-client-request-id': 'vapp-vault-1' };
    bodies.add(exchange({ status: 400, requestBody: '<OfTheService/>', requestHeaders: service }), defaultVariants());
    expect(readFileSync(join(folder, 'index.jsonl'), 'utf8').trim().split('\n')).toHaveLength(3);
  });

  it.each([
    ['', 0, 'skipped schema: VCD_SCHEMAS_DIR is not set'],
    [folder, 1, `FAILED schema: VCD_SCHEMAS_DIR names ${folder}, which is not the "etc" folder`],
  ])('are not held against schemas named by "%s", and it is said why', (named, code, sentence) => {
    const env = { ...process.env, VCD_SCHEMAS_DIR: named };
    const { status, stdout } = spawnSync(process.execPath, [RUN, folder], { encoding: 'utf8', env });
    expect([status, stdout]).toEqual([code, expect.stringContaining(sentence)]);
  });

  it('are not passed over where the validator is there and does not work', () => {
    record().add(exchange({ responseBody: rule('urn:1') }), defaultVariants());
    const broken = join(folder, 'broken');
    mkdirSync(join(broken, 'etc', '1.5', 'schemas', 'master'), { recursive: true });
    writeFileSync(join(broken, 'etc', '1.5', 'schemas', 'master', 'master.xsd'), '');
    mkdirSync(join(broken, 'lxml'));
    writeFileSync(join(broken, 'lxml', '__init__.py'), 'raise ImportError("made for another Python")');
    const env = { ...process.env, PYTHONPATH: broken, VCD_SCHEMAS_DIR: join(broken, 'etc') };
    const { status, stdout, stderr } = spawnSync(process.execPath, [RUN, folder], { encoding: 'utf8', env });
    expect(stdout).not.toContain('skipped');
    expect([status, stderr]).toEqual([1, expect.stringContaining('The schema check did not end: ImportError: made for another Python')]);
  });

  it("are held against VMware's schemas where those are", (context) => {
    const bodies = record();
    bodies.add(exchange({ responseBody: rule('urn:1') }), defaultVariants());
    const check = () => spawnSync(process.execPath, [RUN, folder], { encoding: 'utf8' });
    const good = check();
    expect(good.stderr).toBe('');
    expect(good.status).toBe(0);
    // What is missing is said, and nothing is claimed.
    if (good.stdout.startsWith('skipped schema:')) return context.skip(good.stdout.trim());
    expect(good.stdout).toContain('0 request bodies and 1 answers are valid');
    bodies.add(exchange({ responseBody: rule('urn:2').replace(RULE, `<Polarity>Affinity</Polarity>${RULE}`) }), defaultVariants());
    const bad = check();
    expect([bad.status, existsSync(folder)]).toEqual([1, true]);
    expect(bad.stdout).toContain('1 are not');
    expect(bad.stdout).toContain('FAILED schema: response of PUT /api/vmAffinityRule/ID (200)');
  });
});
