import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { compareVappCaptures, type MediaCapture, type NewMedia } from '../../src/vcd/index.js';
import { seededBytes } from '../simulator/guest/random-bytes.js';
import { chooseVariants, defaultVariants } from '../simulator/vcd/index.js';
import { type EverythingCell, startEverythingCell } from './everything-cell.js';

/** Edits of catalogs against the strict simulated cell: templates, media and their bytes. */

let cell: EverythingCell;

beforeAll(async () => {
  cell = await startEverythingCell();
  await cell.vcd.findInCatalog(catalog(), 'pair');
});
afterAll(async () => {
  await cell?.close();
});
afterEach(() => {
  expect(cell.faults.list()).toEqual([]);
});

const catalog = () => cell.href('catalog', 'acme-images');
const sent = (method: string, path: RegExp) => cell.exchanges.filter((one) => one.method === method && path.test(one.path));
const items = () => cell.cloud.state.catalogItems.map(({ name }) => name);

async function failure(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => 'it succeeded',
    (reason: unknown) => reason,
  );
}

describe('catalog items', () => {
  it('are found by exact name, each as what it leads to', async () => {
    expect(await cell.vcd.findInCatalog(catalog(), 'pair')).toMatchObject({
      entityHref: cell.href('template', 'pair'),
      kind: 'vapp-template',
    });
    expect(await cell.vcd.findInCatalog(catalog(), 'installer')).toMatchObject({
      entityHref: cell.href('media', 'installer'),
      kind: 'media',
    });
    expect(await cell.vcd.findInCatalog(catalog(), 'Pair')).toBeUndefined();
  });
});

describe('vApp templates', () => {
  const params = (name: string) => ({ catalogHref: catalog(), vappHref: cell.href('vapp', 'golden'), name, description: 'a & b' });

  it('are captured into a catalog, and made equal to another', async () => {
    const captured = await cell.vcd.captureVappTemplate(cell.href('template', 'pair'));
    const { templateHref } = await cell.vcd.createTemplate({ ...params('pair-2'), customizeOnInstantiate: false });
    expect(await cell.vcd.findInCatalog(catalog(), 'pair-2')).toMatchObject({ entityHref: templateHref });
    const metadata = [{ key: 'k', type: 'MetadataStringValue', value: 'v', domain: 'SYSTEM', visibility: 'PRIVATE' }] as const;
    const wanted = {
      ...captured,
      name: 'pair-3',
      description: 'third',
      lease: { ...captured.lease, storageSeconds: 86_400 },
      vms: captured.vms.map((vm) => ({ ...vm, metadata: [...metadata] })),
      catalogEntry: captured.catalogEntry && { ...captured.catalogEntry, description: 'of the item', metadata: [...metadata] },
    };
    await cell.vcd.writeTemplate(templateHref, wanted);
    await cell.vcd.writeOwner(templateHref, wanted.owner.href);
    const written = await cell.vcd.captureVappTemplate(templateHref);
    expect(written).toMatchObject({ name: 'pair-3', description: 'third', goldMaster: true, lease: { storageSeconds: 86_400 } });
    expect(written.sections.CustomizationSection).toContain('CustomizeOnInstantiate>true<');
    expect(written.metadata).toEqual(captured.metadata);
    expect(written.vms.map((vm) => vm.metadata)).toEqual([metadata, metadata]);
    expect(written.catalogEntry).toMatchObject({ item: { name: 'pair-3' }, description: 'of the item', metadata });
    expect(compareVappCaptures(wanted, written, { ignoreName: true, ignoreMacAddresses: true })).toEqual([]);
    const requests = cell.exchanges.filter(({ method }) => method === 'PUT' || method === 'POST').length;
    await cell.vcd.writeTemplate(templateHref, wanted);
    expect(cell.exchanges.filter(({ method }) => method === 'PUT' || method === 'POST')).toHaveLength(requests);
    await cell.vcd.deleteTemplate(templateHref);
    await cell.vcd.deleteTemplate(templateHref);
    expect(await cell.vcd.findInCatalog(catalog(), 'pair-3')).toBeUndefined();
  });

  it("are deleted when the capture fails late, with VCD's own sentence", async () => {
    cell.faults.add({ operationName: 'vdcCaptureTemplate', minorErrorCode: 'VC_ERROR', message: 'The clone failed' });
    expect(await failure(cell.vcd.createTemplate(params('half')))).toMatchObject({
      code: 'TASK_FAILED',
      message: expect.stringMatching(/as vApp template "half" failed: The clone failed\.$/),
    });
    expect(cell.cloud.state.vappTemplates.map(({ name }) => name)).not.toContain('half');
    expect(items()).not.toContain('half');
  });

  it('are captured once when the answer is lost, and not under a name that is taken', async () => {
    cell.faults.add({ method: 'POST', path: '/action/captureVApp$', effect: 'drop-after' });
    const { templateHref } = await cell.vcd.createTemplate(params('lost'));
    expect(cell.cloud.state.vappTemplates.filter(({ name }) => name === 'lost').map(({ creation }) => creation)).toEqual(['done']);
    const posts = sent('POST', /captureVApp$/).length;
    expect(await failure(cell.vcd.createTemplate(params('lost')))).toMatchObject({ code: 'DUPLICATE_NAME' });
    expect(sent('POST', /captureVApp$/)).toHaveLength(posts);
    await cell.vcd.deleteTemplate(templateHref);
  });

  it('wait for a vApp that is busy', async () => {
    cell.faults.add({ method: 'POST', path: '/action/captureVApp$', status: 400, minorErrorCode: 'BUSY_ENTITY' });
    await cell.vcd.deleteTemplate((await cell.vcd.createTemplate(params('patient'))).templateHref);
  });
});

async function collected(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of body) parts.push(part);
  return Buffer.concat(parts);
}
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('downloads of media', () => {
  const media = () => cell.href('media', 'installer');
  const stored = () => {
    const entity = cell.cloud.state.media.find(({ name }) => name === 'installer');
    return { entity, path: join(cell.cloud.mediaDirectory, entity?.fileName ?? '') };
  };

  it('give all bytes in order, and the file back', async () => {
    const { sizeBytes, body } = await cell.vcd.downloadMedia(media());
    expect(sizeBytes).toBe(3 * 2 ** 20 + 2048);
    expect(digest(await collected(body))).toBe(digest(await readFile(stored().path)));
    await cell.vcd.endMediaDownload(media());
    expect(stored().entity?.downloadTransferId).toBeUndefined();
    await cell.vcd.endMediaDownload(media());
    expect(sent('POST', /disableDownload$/)).toHaveLength(1);
  });

  it.each([
    ['broke', { effect: 'drop', afterBytes: 1_000_000 }],
    ['was refused', { status: 503, minorErrorCode: 'BUSY' }],
    ['never came', { effect: 'drop' }],
  ] as const)('go on where the connection %s', async (_, fault) => {
    const { body } = await cell.vcd.downloadMedia(media());
    cell.faults.add({ method: 'GET', path: '^/transfer/', ...fault });
    expect(digest(await collected(body))).toBe(digest(await readFile(stored().path)));
    await cell.vcd.endMediaDownload(media());
  });

  it('log in again when the session ends meanwhile', async () => {
    const { body } = await cell.vcd.downloadMedia(media());
    cell.endSessions();
    expect((await collected(body)).length).toBe(3 * 2 ** 20 + 2048);
    await cell.vcd.endMediaDownload(media());
  });

  it('end with an error when nothing comes any more', async () => {
    const hasty = await cell.connect({ requestTimeoutMs: 1_500, retryDeadlineMs: 1_000 });
    const { body } = await hasty.downloadMedia(media());
    cell.faults.add({ method: 'GET', path: '^/transfer/', effect: 'delay', delayMs: 6_000 });
    expect(await failure(collected(body))).toMatchObject({
      code: 'REQUEST_TIMEOUT',
      message: expect.stringContaining('medium "installer"'),
    });
    await cell.vcd.endMediaDownload(media());
  });

  it('can be left in the middle, and are cancelled with their caller', async () => {
    const { body } = await cell.vcd.downloadMedia(media());
    for await (const bytes of body) {
      expect(bytes.length).toBeGreaterThan(0);
      break;
    }
    const controller = new AbortController();
    const again = await cell.vcd.downloadMedia(media(), controller.signal);
    controller.abort();
    expect(await failure(collected(again.body))).toMatchObject({ code: 'CANCELLED' });
    await cell.vcd.endMediaDownload(media());
    expect(await failure(cell.vcd.downloadMedia(media().replace(/.{12}$/, '000000000000')))).toMatchObject({ code: 'MEDIA_NOT_FOUND' });
    await cell.vcd.endMediaDownload(media().replace(/.{12}$/, '000000000000'));
  });
});

describe('uploads of media', () => {
  const bytes = seededBytes('an image', 5 * 2 ** 20 + 2048);
  const offsets: number[] = [];
  const created: string[] = [];
  const wanted = (name: string): NewMedia => ({
    catalogHref: catalog(),
    name,
    description: 'x < y',
    imageType: 'iso',
    sizeBytes: bytes.length,
  });
  async function* from(offsetBytes: number): AsyncGenerator<Buffer> {
    offsets.push(offsetBytes);
    for (let at = offsetBytes; at < bytes.length; at += 100_000) yield bytes.subarray(at, at + 100_000);
  }
  const upload = (name: string, signal?: AbortSignal) => {
    offsets.length = 0;
    created.length = 0;
    return cell.vcd.uploadMedia(
      wanted(name),
      from,
      async (href) => {
        created.push(href);
      },
      signal,
    );
  };
  const stored = async (name: string) => {
    const entity = cell.cloud.state.media.find((media) => media.name === name);
    return digest(await readFile(join(cell.cloud.mediaDirectory, entity?.fileName ?? '')));
  };

  it('are whole, told of at once, and described as wanted', async () => {
    const { mediaHref, itemHref } = await upload('image');
    expect(created).toEqual([mediaHref]);
    expect(await stored('image')).toBe(digest(bytes));
    const captured = await cell.vcd.captureMedia(mediaHref);
    expect(captured).toMatchObject({
      name: 'image',
      description: 'x < y',
      sizeBytes: bytes.length,
      catalogEntry: { item: { href: itemHref } },
    });
    const olivia = cell.cloud.state.users.find(({ name }) => name === 'olivia');
    const metadata: MediaCapture['metadata'] = [
      { key: 'release', type: 'MetadataNumberValue', value: '9', domain: 'GENERAL', visibility: 'READWRITE' },
    ];
    const changed = {
      ...captured,
      name: 'image-2',
      description: 'z',
      metadata,
      catalogEntry: { ...captured.catalogEntry, description: 'i', metadata },
    };
    await cell.vcd.writeMedia(mediaHref, changed, new URL(`/api/admin/user/${olivia?.id}`, mediaHref).href);
    const written = await cell.vcd.captureMedia(mediaHref);
    expect(written).toMatchObject({ name: 'image-2', description: 'z', metadata, owner: { name: 'olivia' } });
    expect(written.catalogEntry).toMatchObject({ item: { name: 'image-2' }, description: 'i', metadata });
    await cell.vcd.deleteMedia(mediaHref);
    await cell.vcd.deleteMedia(mediaHref);
    expect(await cell.vcd.findInCatalog(catalog(), 'image-2')).toBeUndefined();
  });

  it('go on from what VCD has when the connection breaks', async () => {
    cell.faults.add({ method: 'PUT', path: '^/transfer/', effect: 'drop', afterBytes: 2_000_000 });
    const { mediaHref } = await upload('broken');
    expect(await stored('broken')).toBe(digest(bytes));
    expect(offsets).toHaveLength(2);
    await cell.vcd.deleteMedia(mediaHref);
  });

  it.each([
    ['an answer of 503', { status: 503, minorErrorCode: 'BUSY' }],
    ['a connection that is cut', { effect: 'drop' }],
  ] as const)('begin again after %s', async (_, fault) => {
    cell.faults.add({ method: 'PUT', path: '^/transfer/', ...fault });
    const { mediaHref } = await upload('again');
    expect(await stored('again')).toBe(digest(bytes));
    await cell.vcd.deleteMedia(mediaHref);
  });

  it('log in again when the session has ended', async () => {
    let ended = false;
    async function* afterTheEnd(offsetBytes: number): AsyncGenerator<Buffer> {
      if (!ended) cell.endSessions();
      ended = true;
      yield* from(offsetBytes);
    }
    const { mediaHref } = await cell.vcd.uploadMedia(wanted('renewed'), afterTheEnd, async () => undefined);
    expect(await stored('renewed')).toBe(digest(bytes));
    expect(sent('PUT', /^\/transfer/).map(({ status }) => status)).toContain(401);
    await cell.vcd.deleteMedia(mediaHref);
  });

  it('are made once when the first answer is lost, and not under a name that is taken', async () => {
    cell.faults.add({ method: 'POST', path: '/action/upload$', effect: 'drop-after' });
    const { mediaHref } = await upload('lost');
    expect(items().filter((name) => name === 'lost')).toHaveLength(1);
    expect(await failure(upload('lost'))).toMatchObject({ code: 'DUPLICATE_NAME' });
    expect(created).toEqual([]);
    await cell.vcd.deleteMedia(mediaHref);
  });

  it('leave nothing when the task fails, and tell why it did', async () => {
    cell.faults.add({ operationName: 'vdcUploadMedia', effect: 'delay', delayMs: 300 });
    cell.faults.add({ operationName: 'vdcUploadMedia', minorErrorCode: 'VC_ERROR', message: 'The datastore is full' });
    expect(await failure(upload('half'))).toMatchObject({ message: expect.stringContaining('The datastore is full') });
    expect(items()).not.toContain('half');
  });

  it('leave nothing when the source of the bytes fails or ends early', async () => {
    const broken = new Error('the repository cannot be read');
    async function* failing(): AsyncGenerator<Buffer> {
      yield bytes.subarray(0, 1000);
      throw broken;
    }
    const nothing = async () => undefined;
    expect(await failure(cell.vcd.uploadMedia(wanted('unread'), failing, nothing))).toBe(broken);
    async function* short(): AsyncGenerator<Buffer> {
      yield bytes.subarray(0, 1000);
    }
    expect(await failure(cell.vcd.uploadMedia(wanted('unread'), short, nothing))).toMatchObject({ code: 'MEDIUM_TOO_SHORT' });
    expect(items()).not.toContain('unread');
  });

  it('leave nothing when they are cancelled', async () => {
    const controller = new AbortController();
    async function* endless(offsetBytes: number): AsyncGenerator<Buffer> {
      yield bytes.subarray(offsetBytes, offsetBytes + 1000);
      controller.abort();
      yield* from(offsetBytes + 1000);
    }
    const work = cell.vcd.uploadMedia(wanted('cancelled'), endless, async () => undefined, controller.signal);
    expect(await failure(work)).toMatchObject({ code: 'CANCELLED' });
    expect(items()).not.toContain('cancelled');
  });
});

describe('where cells differ', () => {
  it('is read and written all the same, and what is not known is written back', async () => {
    const template = cell.href('template', 'single');
    const media = cell.href('media', 'installer');
    const [capturedTemplate, capturedMedia] = [await cell.vcd.captureVappTemplate(template), await cell.vcd.captureMedia(media)];
    chooseVariants(cell.cloud.variants, { prefixes: 'numbered', mediaTypeCase: 'upper', links: 'xml', unknownContent: 'added' });
    cell.exchanges.length = 0;
    const customization = capturedTemplate.sections.CustomizationSection ?? '';
    expect(customization).toContain('>false<');
    try {
      expect(await cell.vcd.findInCatalog(catalog(), 'single')).toMatchObject({ entityHref: template });
      await cell.vcd.writeTemplate(template, {
        ...capturedTemplate,
        lease: { ...capturedTemplate.lease, storageSeconds: 7_200 },
        sections: { CustomizationSection: customization.replace('>false<', '>true<') },
        catalogEntry: capturedTemplate.catalogEntry && { ...capturedTemplate.catalogEntry, description: 'varied' },
      });
      await cell.vcd.writeMedia(media, { ...capturedMedia, description: 'varied' }, undefined);
      const { body } = await cell.vcd.downloadMedia(media);
      expect((await collected(body)).length).toBe(capturedMedia.sizeBytes);
      await cell.vcd.endMediaDownload(media);
    } finally {
      Object.assign(cell.cloud.variants, defaultVariants());
    }
    const written = cell.exchanges.filter(({ method, path }) => method === 'PUT' && path.startsWith('/api'));
    const part = (path: string) => path.replace(/^.*[0-9a-f]{12}\/?/, '') || path.split('/')[2];
    expect(written.map(({ path, requestBody }) => [part(path), requestBody.includes('AddedByALaterVersion')])).toEqual([
      ['leaseSettingsSection/', true],
      ['customizationSection/', true],
      ['catalogItem', true],
      ['media', true],
    ]);
    const changed = await cell.vcd.captureVappTemplate(template);
    expect(changed).toMatchObject({ lease: { storageSeconds: 7_200 }, catalogEntry: { description: 'varied' } });
    expect(changed.sections.CustomizationSection).toContain('>true<');
  });
});
