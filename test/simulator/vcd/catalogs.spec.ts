import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { everythingSeed } from '../seeds/everything.js';
import { smallSeed } from '../seeds/small-seed.js';
import { startTestCell, type TestCell } from './testing.js';
import { MEDIA } from './xml-names.js';

const NS = 'xmlns="http://www.vmware.com/vcloud/v1.5" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"';

describe('catalogs, templates, media, snapshots and leases', () => {
  let test: TestCell;
  const vapp = (name: string) => test.cloud.state.vapps.find((candidate) => candidate.name === name);
  const catalog = () => test.cloud.state.catalogs[0]?.id ?? '';
  const send = (method: string, path: string, media?: string, body?: string) =>
    test.call('administrator', method, path, { body, type: media });
  beforeAll(async () => {
    test = await startTestCell(smallSeed(everythingSeed()));
  });
  afterAll(() => test.close());

  it('captures a stopped vApp into a catalog, and instantiates what it captured', async () => {
    const body = (name: string) =>
      `<CaptureVAppParams ${NS} name="${name}"><Source href="${test.cell.url}/api/vApp/vapp-${vapp('golden')?.id}"/></CaptureVAppParams>`;
    const path = `/api/catalog/${catalog()}/action/captureVApp`;
    expect((await send('POST', path, MEDIA.captureVapp, body('pair'))).xml.attribute('minorErrorCode', '')).toBe('DUPLICATE_NAME');
    const captured = await send('POST', path, MEDIA.captureVapp, body('again'));
    expect(captured.status).toBe(202);
    expect(await test.finished(captured)).toBe('success');
    const href = captured.xml.child('Owner')?.attribute('href', '') ?? '';
    const template = await send('GET', href);
    expect(template.xml.child('Children')?.childrenNamed('Vm')).toHaveLength(2);
    const vdcId = vapp('golden')?.vdcId;
    const made = await send(
      'POST',
      `/api/vdc/${vdcId}/action/instantiateVAppTemplate`,
      MEDIA.instantiateVappTemplate,
      `<InstantiateVAppTemplateParams ${NS} name="copy" deploy="false" powerOn="false"><Source href="${href}"/></InstantiateVAppTemplateParams>`,
    );
    expect(made.status).toBe(201);
    expect(await test.finished(made)).toBe('success');
    expect(vapp('copy')?.metadata.map((entry) => entry.key)).toContain('vapp.origin.id');
    expect(await test.finished(await send('DELETE', href))).toBe('success');
    expect((await send('GET', href)).status).toBe(403);
  });

  it('takes a medium in pieces, and gives it back only while download is enabled', async () => {
    const path = `/api/catalog/${catalog()}/action/upload`;
    const item = await send('POST', path, MEDIA.media, `<Media ${NS} name="new" imageType="iso" size="8"/>`);
    expect(item.status).toBe(201);
    const href = item.xml.child('Entity')?.attribute('href', '') ?? '';
    const medium = await send('GET', href);
    const link = (xml: typeof medium.xml) => xml.child('Files')?.child('File')?.child('Link')?.attribute('href', '') ?? '';
    const put = (range: string, body: string) =>
      test.call('administrator', 'PUT', link(medium.xml), { body, headers: { 'content-range': range } });
    expect((await put('bytes 0-8/9', 'abcdefghi')).status).toBe(400);
    expect((await put('bytes 4-9/8', 'efghij')).status).toBe(416);
    expect((await put('bytes 4-7/8', 'efgh')).status).toBe(200);
    expect((await send('GET', href)).xml.attribute('status', '')).toBe('0');
    expect((await put('bytes 0-3/8', 'abcd')).status).toBe(200);
    expect(await test.finished(medium)).toBe('success');
    expect(link((await send('GET', href)).xml)).toBe('');
    expect(await test.finished(await send('POST', `${href}/action/enableDownload`))).toBe('success');
    const download = link((await send('GET', href)).xml);
    const part = await test.call('administrator', 'GET', download, { headers: { range: 'bytes=2-5' } });
    expect([part.status, part.text]).toEqual([206, 'cdef']);
    expect((await send('POST', `${href}/action/disableDownload`)).status).toBe(204);
    expect((await send('GET', download)).status).toBe(404);
    expect(await test.finished(await send('DELETE', href))).toBe('success');
  });

  it('counts what came before a connection broke, in both directions', async () => {
    const content = Buffer.alloc(300_000, 'image');
    const item = await send(
      'POST',
      `/api/catalog/${catalog()}/action/upload`,
      MEDIA.media,
      `<Media ${NS} name="broken" imageType="iso" size="${content.length}"/>`,
    );
    const href = item.xml.child('Entity')?.attribute('href', '') ?? '';
    const file = async () => (await send('GET', href)).xml.child('Files')?.child('File');
    const target = (await file())?.child('Link')?.attribute('href', '') ?? '';
    test.faults.add({ method: 'PUT', path: '^/transfer/', effect: 'drop', afterBytes: 100_000 });
    await expect(test.call('administrator', 'PUT', target, { body: content.toString() })).rejects.toThrow();
    await expect.poll(async () => (await file())?.attribute('bytesTransferred', ''), { timeout: 5000 }).toBe('100000');
    const range = `bytes 100000-${content.length - 1}/${content.length}`;
    const rest = { body: content.subarray(100_000).toString(), headers: { 'content-range': range } };
    expect((await test.call('administrator', 'PUT', target, rest)).status).toBe(200);
    await expect.poll(async () => (await send('GET', href)).xml.attribute('status', ''), { timeout: 5000 }).toBe('1');
    expect(await test.finished(await send('POST', `${href}/action/enableDownload`))).toBe('success');
    const download = (await file())?.child('Link')?.attribute('href', '') ?? '';
    test.faults.add({ method: 'GET', path: '^/transfer/', effect: 'drop', afterBytes: 100_000 });
    await expect(test.call('administrator', 'GET', download)).rejects.toThrow();
    expect((await test.call('administrator', 'GET', download)).text).toBe(content.toString());
    expect(await test.finished(await send('DELETE', href))).toBe('success');
  });

  it('refuses a lease above what the organization allows', async () => {
    const lease = (seconds: number) =>
      send(
        'PUT',
        `/api/vApp/vapp-${vapp('golden')?.id}/leaseSettingsSection`,
        MEDIA.leaseSettings,
        `<LeaseSettingsSection ${NS} ovf:required="false"><ovf:Info>i</ovf:Info><DeploymentLeaseInSeconds>${seconds}</DeploymentLeaseInSeconds></LeaseSettingsSection>`,
      );
    expect([(await lease(604_801)).status, (await lease(0)).status]).toEqual([400, 400]);
    expect(await test.finished(await lease(604_800))).toBe('success');
  });

  it('reverts a VM to its snapshot', async () => {
    const vm = test.cloud.state.vms.find((candidate) => candidate.name === 'golden-b');
    const key = test.vsphere.vm(vm?.moRef ?? '')?.disks[0]?.key ?? 0;
    await test.vsphere.guest.write(vm?.moRef ?? '', key, 0, Buffer.from('changed'));
    expect(await test.finished(await send('POST', `/api/vApp/vm-${vm?.id}/action/revertToCurrentSnapshot`))).toBe('success');
    expect(await test.vsphere.guest.read(vm?.moRef ?? '', key, 0, 7)).toEqual(Buffer.alloc(7));
  });
});
