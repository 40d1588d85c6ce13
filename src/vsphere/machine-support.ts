import type { CryptoKey } from './encryption-spec.js';
import { VsphereError } from './errors.js';
import type { Inventory } from './inventory.js';
import type { PropertyReader } from './properties.js';
import type { VimSession } from './session.js';
import type { KeyProvider } from './types.js';
import { isTrue } from './vim-xml.js';

/** CryptoManagerKmip.CheckKeyAvailable. */
const CHECK_KEY_AVAILABLE = 1;
/** Before 6.7 Update 2 nobody can be asked, and not everybody may ask. */
const NOBODY_SAYS = new Set(['NO_PERMISSION', 'NOT_SUPPORTED', 'NOT_IMPLEMENTED', 'METHOD_NOT_FOUND', 'INVALID_REQUEST']);

/** Which machines a part of a vCenter takes. */
export class MachineSupport {
  constructor(
    private readonly session: VimSession,
    private readonly properties: PropertyReader,
    private readonly inventory: Inventory,
  ) {}

  /** "vmx-13" …: with which a VM can be created in the compute resource of a resource pool. Empty where vCenter does not tell. */
  async hardwareVersions(resourcePoolMoRef: string, signal?: AbortSignal): Promise<string[]> {
    const compute = await this.inventory.computeResource(resourcePoolMoRef, signal);
    const doing = `asking which virtual hardware ${compute.value} takes`;
    const browser = (await this.properties.read(compute, ['environmentBrowser'], doing, compute.value, signal)).reference(
      'environmentBrowser',
    );
    if (browser === undefined) return [];
    const answer = await this.session.call('QueryConfigOptionDescriptor', browser, {}, { doing, signal, idempotent: true });
    return answer
      .childrenNamed('returnval')
      .filter((descriptor) => isTrue(descriptor.child('createSupported')))
      .flatMap((descriptor) => descriptor.textAt('key') ?? []);
  }

  /** Key providers that vCenter knows, whether they answer or not. */
  async keyProviders(signal?: AbortSignal): Promise<KeyProvider[]> {
    const { cryptoManager } = this.session.content;
    if (cryptoManager === undefined) return [];
    const doing = 'listing the key providers';
    const manager = await this.properties.read(cryptoManager, ['kmipServers'], doing, 'the key providers', signal);
    return (manager.get('kmipServers')?.elements() ?? []).flatMap((cluster) => {
      const id = cluster.textAt('clusterId', 'id');
      return id === undefined ? [] : [{ id, isDefault: isTrue(cluster.child('useAsDefault')) }];
    });
  }

  /** Those of the keys that vCenter says it cannot get from their providers. Empty where it does not say. */
  async unavailableKeys(keys: readonly CryptoKey[], signal?: AbortSignal): Promise<CryptoKey[]> {
    const { cryptoManager } = this.session.content;
    if (cryptoManager === undefined || keys.length === 0) return [];
    const keyIds = keys.map(({ keyId, providerId }) => ({ keyId, ...(providerId !== undefined && { providerId: { id: providerId } }) }));
    const options = { doing: 'asking which keys can be had', signal, idempotent: true };
    try {
      const answer = await this.session.call(
        'QueryCryptoKeyStatus',
        cryptoManager,
        { keyIds, checkKeyBitMap: CHECK_KEY_AVAILABLE },
        options,
      );
      const unavailable = answer
        .childrenNamed('returnval')
        .filter((status) => status.textAt('keyAvailable') === 'false')
        .map((status) => status.textAt('keyId', 'keyId'));
      return keys.filter(({ keyId }) => unavailable.includes(keyId));
    } catch (error) {
      if (error instanceof VsphereError && NOBODY_SAYS.has(error.code)) return [];
      throw error;
    }
  }
}
