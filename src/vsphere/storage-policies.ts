import { parseXml, writeXml, XmlElement } from '../common/index.js';
import { faultError, readSoapFault, VsphereError } from './errors.js';
import type { PropertyReader } from './properties.js';
import type { VimSession } from './session.js';
import { type ManagedObject, referenceOf } from './vim-xml.js';

const PBM_NAMESPACE = 'urn:pbm';
const SOAP_NAMESPACE = 'http://schemas.xmlsoap.org/soap/envelope/';
/** Every vCenter since 6.5 answers it. */
const SOAP_ACTION = '"urn:pbm/2.0"';
const PATH = '/pbm';
const TIMEOUT_MS = 60_000;

/** A storage policy of a vCenter: VCD's storage profiles are made of these, under their names. */
export interface StoragePolicy {
  id: string;
  name: string;
}

/** Which policies a VM has. Ids are meant; their names are found by `list`. */
export interface VmPolicies {
  home: string | undefined;
  /** By device key. */
  disks: Map<number, string>;
}

export interface StoragePoliciesApi {
  /** All that VMs can have. */
  list(signal?: AbortSignal): Promise<StoragePolicy[]>;
  ofVm(vmMoRef: string, deviceKeys: readonly number[], signal?: AbortSignal): Promise<VmPolicies>;
  /** The policy of a first class disk; undefined where it has none. */
  ofFirstClassDisk(diskId: string, signal?: AbortSignal): Promise<StoragePolicy | undefined>;
  /** Which of the datastores a policy can be kept on. */
  compatibleDatastores(policyId: string, datastoreMoRefs: readonly string[], signal?: AbortSignal): Promise<string[]>;
}

interface PbmContent {
  profileManager: ManagedObject;
  placementSolver: ManagedObject;
}

/**
 * Storage policies by the Storage Policy API (urn:pbm): an endpoint of its own, which takes the vCenter session's cookie
 * in a SOAP header. Written by hand, because it shares no type with vim25.
 */
export class StoragePolicies implements StoragePoliciesApi {
  private content: PbmContent | undefined;

  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
  ) {}

  async list(signal?: AbortSignal): Promise<StoragePolicy[]> {
    const doing = 'listing the storage policies';
    const { profileManager } = await this.connect(signal);
    const resourceType = pbm('resourceType', pbm('resourceType', 'STORAGE'));
    const found = await this.call('PbmQueryProfile', profileManager, [resourceType, pbm('profileCategory', 'REQUIREMENT')], doing, signal);
    const ids = idsIn(found);
    if (ids.length === 0) return [];
    const content = await this.call(
      'PbmRetrieveContent',
      profileManager,
      ids.map((id) => profileId('profileIds', id)),
      doing,
      signal,
    );
    return content.childrenNamed('returnval').flatMap((profile) => {
      const id = profile.textAt('profileId', 'uniqueId');
      return id === undefined ? [] : [{ id, name: profile.textAt('name') ?? id }];
    });
  }

  async ofVm(vmMoRef: string, deviceKeys: readonly number[], signal?: AbortSignal): Promise<VmPolicies> {
    const doing = `asking for the storage policies of ${vmMoRef}`;
    const { profileManager } = await this.connect(signal);
    const entities = [
      serverObject('entities', 'virtualMachine', vmMoRef),
      ...deviceKeys.map((key) => serverObject('entities', 'virtualDiskId', `${vmMoRef}:${key}`)),
    ];
    const answer = await this.call('PbmQueryAssociatedProfiles', profileManager, entities, doing, signal);
    const policies: VmPolicies = { home: undefined, disks: new Map() };
    for (const result of answer.childrenNamed('returnval')) {
      const id = result.textAt('profileId', 'uniqueId');
      if (id === undefined) continue;
      const key = result.textAt('object', 'key') ?? '';
      if (result.textAt('object', 'objectType') === 'virtualMachine') policies.home = id;
      else policies.disks.set(Number(key.slice(key.lastIndexOf(':') + 1)), id);
    }
    return policies;
  }

  async ofFirstClassDisk(diskId: string, signal?: AbortSignal): Promise<StoragePolicy | undefined> {
    const { profileManager } = await this.connect(signal);
    const doing = `asking for the storage policy of first class disk ${diskId}`;
    const answer = await this.call(
      'PbmQueryAssociatedProfiles',
      profileManager,
      [serverObject('entities', 'virtualDiskUUID', diskId)],
      doing,
      signal,
    );
    const [id] = answer.childrenNamed('returnval').flatMap((result) => result.textAt('profileId', 'uniqueId') ?? []);
    if (id === undefined) return undefined;
    return (await this.list(signal)).find((policy) => policy.id === id) ?? { id, name: id };
  }

  async compatibleDatastores(policyId: string, datastoreMoRefs: readonly string[], signal?: AbortSignal): Promise<string[]> {
    const { placementSolver } = await this.connect(signal);
    const hubs = datastoreMoRefs.map((moRef) => pbm('hubsToSearch', pbm('hubType', 'Datastore'), pbm('hubId', moRef)));
    const doing = `asking which datastores suit storage policy ${policyId}`;
    const answer = await this.call('PbmQueryMatchingHub', placementSolver, [...hubs, profileId('profile', policyId)], doing, signal);
    return answer.childrenNamed('returnval').flatMap((hub) => hub.textAt('hubId') ?? []);
  }

  private async connect(signal?: AbortSignal): Promise<PbmContent> {
    if (this.content !== undefined) return this.content;
    const instance = { type: 'PbmServiceInstance', value: 'ServiceInstance' };
    const answer = await this.call('PbmRetrieveServiceContent', instance, [], 'the first contact with the storage policies', signal);
    const content = answer.child('returnval');
    const profileManager = referenceOf(content?.child('profileManager'));
    const placementSolver = referenceOf(content?.child('placementSolver'));
    if (profileManager === undefined || placementSolver === undefined) throw this.unavailable('it names no profile manager');
    this.content = { profileManager, placementSolver };
    return this.content;
  }

  /** @throws VsphereError PBM_UNAVAILABLE, or by the fault; once more where the session had ended. */
  private async call(method: string, self: ManagedObject, args: XmlElement[], doing: string, signal?: AbortSignal): Promise<XmlElement> {
    try {
      return await this.once(method, self, args, doing, signal);
    } catch (error) {
      if (!(error instanceof VsphereError && error.code === 'NOT_AUTHENTICATED')) throw error;
      // Whatever needs a session makes the vim25 side log in again.
      await this.properties.read(this.session.content.rootFolder, ['name'], doing, 'the root folder', signal);
      return this.once(method, self, args, doing, signal);
    }
  }

  private async once(method: string, self: ManagedObject, args: XmlElement[], doing: string, signal?: AbortSignal): Promise<XmlElement> {
    const target = pbm('_this', self.value).setAttribute('type', self.type);
    const body = envelope(this.session.cookieValue, pbm(method, target, ...args));
    const headers = { 'Content-Type': 'text/xml; charset=utf-8', SOAPAction: SOAP_ACTION };
    const response = await this.session.http({ method: 'POST', path: PATH, headers, body, timeoutMs: TIMEOUT_MS, signal }, doing);
    let answer: XmlElement | undefined;
    try {
      answer = parseXml(response.body.toString('utf8')).child('Body')?.elements()[0];
    } catch {
      // Not XML: a proxy's page, or none. Told below by its status.
    }
    if (answer === undefined) throw this.unavailable(`it answered with HTTP ${response.status}`);
    if (answer.local === 'Fault') throw faultError(readSoapFault(answer), { doing, vcenter: this.session.transport.name, method });
    return answer;
  }

  private unavailable(why: string): VsphereError {
    const vcenter = this.session.transport.name;
    return new VsphereError(`vCenter ${vcenter} does not tell its storage policies (${why}); check that its storage policy service runs.`, {
      code: 'PBM_UNAVAILABLE',
      subject: `vCenter ${vcenter}`,
    });
  }
}

function pbm(local: string, ...children: (XmlElement | string)[]): XmlElement {
  return new XmlElement(local, PBM_NAMESPACE, [], children);
}

function profileId(local: string, id: string): XmlElement {
  return pbm(local, pbm('uniqueId', id));
}

function serverObject(local: string, objectType: string, key: string): XmlElement {
  return pbm(local, pbm('objectType', objectType), pbm('key', key));
}

function idsIn(answer: XmlElement): string[] {
  return answer.childrenNamed('returnval').flatMap((id) => id.textAt('uniqueId') ?? []);
}

function envelope(cookie: string, request: XmlElement): string {
  const header = new XmlElement('Header', SOAP_NAMESPACE, [], [new XmlElement('vcSessionCookie', '', [], [cookie])]);
  const body = new XmlElement('Body', SOAP_NAMESPACE, [], [request]);
  const root = new XmlElement('Envelope', SOAP_NAMESPACE, [], [header, body]);
  return writeXml(root, { prefixes: { [SOAP_NAMESPACE]: 'soapenv', [PBM_NAMESPACE]: 'pbm' } });
}
