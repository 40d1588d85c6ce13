import type { XmlElement } from '../common/index.js';
import { captureVm, inlineProductSections, sectionsOf } from './capture-vm.js';
import { readVapp, type VcdContext } from './context.js';
import { badAnswer, VcdError } from './error.js';
import { linkHref, referenceOf, under, urnOf } from './links.js';
import { MEDIA } from './namespaces.js';
import { accessOf, leaseOf, metadataOf, networksOf, startupOf, whole } from './sections.js';
import type { VappCapture, VcdReference, VmCapture } from './types.js';

/**
 * Reads everything the guide's chapter 8 wants kept of a vApp: the entity with its VMs in one answer,
 * and beside it what has a resource of its own. Two requests per VM at most, a few at a time (the
 * client's limit), so that a vApp of a hundred VMs does not stand in VCD's way.
 *
 * @throws VcdError VAPP_NOT_FOUND, VIM_INFO_MISSING
 */
export async function captureVapp(context: VcdContext, vappHref: string, signal?: AbortSignal): Promise<VappCapture> {
  const { root, text } = await readVapp(context, vappHref, signal);
  const href = root.attribute('href') ?? vappHref;
  const reader = new PartReader(context, context.names.label(href), signal);
  reader.keep(href, text);
  const [place, owner, access, metadata, products, vms] = await Promise.all([
    readPlace(reader, root),
    reader.read(linkHref(root, 'down', MEDIA.owner) ?? under(href, 'owner'), 'the owner'),
    reader.read(linkHref(root, 'down', MEDIA.controlAccess) ?? under(href, 'controlAccess', ''), 'the access rights'),
    reader.read(linkHref(root, 'down', MEDIA.metadata) ?? under(href, 'metadata'), 'the metadata'),
    readProductSections(reader, root),
    Promise.all((root.child('Children')?.childrenNamed('Vm') ?? []).map((vm) => readVmParts(reader, vm))),
  ]);
  const ownerReference = referenceOf(owner.child('User')) ?? referenceOf(root.find('Owner', 'User'));
  if (ownerReference === undefined) throw badAnswer(`Reading the owner of ${reader.subject}`, 'the answer names no user');
  const description = root.textAt('Description');
  return {
    href,
    id: root.attribute('id') ?? urnOf('vapp', href),
    name: root.attribute('name') ?? '',
    ...(description ? { description } : {}),
    status: whole(root.attribute('status')) ?? 0,
    deployed: root.attribute('deployed') === 'true',
    organization: place.organization,
    vdc: place.vdc,
    owner: ownerReference,
    inMaintenanceMode: root.textAt('InMaintenanceMode') === 'true',
    lease: leaseOf(root.child('LeaseSettingsSection')),
    startup: startupOf(root.child('StartupSection')),
    networks: networksOf(root.child('NetworkConfigSection')),
    access: accessOf(access),
    metadata: metadataOf(metadata),
    vms,
    sections: sectionsOf(root, products),
    apiVersion: context.http.session.apiVersion,
    raw: reader.raw,
  };
}

async function readVmParts(reader: PartReader, vm: XmlElement): Promise<VmCapture> {
  const href = vm.attribute('href') ?? '';
  const name = vm.attribute('name') ?? '';
  const [metadata, products] = await Promise.all([
    reader.read(linkHref(vm, 'down', MEDIA.metadata) ?? under(href, 'metadata'), `the metadata of VM "${name}"`),
    readProductSections(reader, vm),
  ]);
  return captureVm(vm, metadataOf(metadata), products);
}

/** Inside the entity where VCD shows them there, else by their link, else there are none. */
async function readProductSections(reader: PartReader, entity: XmlElement): Promise<XmlElement | undefined> {
  const inline = inlineProductSections(entity);
  if (inline !== undefined) return inline;
  const href = linkHref(entity, 'down', MEDIA.productSections);
  return href === undefined ? undefined : reader.read(href, 'the product sections');
}

/** The VDC is the vApp's `up` link, the organization the VDC's. */
async function readPlace(reader: PartReader, vapp: XmlElement): Promise<{ vdc: VcdReference; organization: VcdReference }> {
  const vdcHref = linkHref(vapp, 'up', MEDIA.vdc);
  if (vdcHref === undefined) throw badAnswer(`Reading the VDC of ${reader.subject}`, 'the vApp has no link to it');
  const vdc = await reader.read(vdcHref, 'the VDC');
  const orgHref = linkHref(vdc, 'up', MEDIA.org) ?? linkHref(vdc, 'up', MEDIA.adminOrg);
  if (orgHref === undefined) throw badAnswer(`Reading the organization of ${reader.subject}`, 'its VDC has no link to it');
  const organization = await reader.read(orgHref, 'the organization');
  return { vdc: self('vdc', vdcHref, vdc), organization: self('org', orgHref, organization) };
}

function self(kind: 'vdc' | 'org', href: string, entity: XmlElement): VcdReference {
  return { href, id: urnOf(kind, href), name: entity.attribute('name') ?? '', type: entity.attribute('type') ?? '' };
}

/** Reads the parts of one vApp and keeps each answer as it came. */
class PartReader {
  readonly raw: Record<string, string> = {};

  constructor(
    readonly context: VcdContext,
    readonly subject: string,
    readonly signal: AbortSignal | undefined,
  ) {}

  keep(href: string, text: string): void {
    this.raw[new URL(href, 'https://vcd').pathname] = text;
  }

  async read(href: string, part: string): Promise<XmlElement> {
    const operation = `Reading ${part} of ${this.subject}`;
    try {
      const answer = await this.context.http.get(href, operation, this.signal, this.subject);
      this.keep(href, answer.text);
      return answer.root();
    } catch (error) {
      // Deleted between two of our requests: for the caller the vApp is as gone as if it had been before.
      if (error instanceof VcdError && error.saysGone && href.includes('/vApp/')) {
        throw new VcdError(`${this.subject} went away while it was read.`, {
          code: 'VAPP_NOT_FOUND',
          subject: this.subject,
          operation,
          httpStatus: error.httpStatus,
          minorErrorCode: error.minorErrorCode,
          requestId: error.requestId,
        });
      }
      throw error;
    }
  }
}
