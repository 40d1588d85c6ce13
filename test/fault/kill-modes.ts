import { smallSeed } from '../flow/small-seed.js';
import type { Seed } from '../simulator/seeds/schema.js';

/** Where a restore begins. */
export type Beginning =
  /** The vApp is there, and its disks are not what they were. */
  | 'spoilt'
  /** As that, and a restore of before was cancelled in the middle of its writing. */
  | 'half-written'
  /** The vApp is gone. */
  | 'gone';

/** A way of restoring, as the kills meet it. */
export interface KillMode {
  readonly name: string;
  /** Without the restore point's id. */
  readonly request: Readonly<Record<string, unknown>>;
  readonly begins: Beginning;
  /** The vApp the restore makes; undefined where it is one that is there, before and after. */
  readonly makes?: string;
  /** Which disks and attributes are as they were in the end. */
  readonly restores: { vms: readonly string[]; ignore: readonly string[]; ignoreName?: boolean };
}

export const VAPP = 'shop';
/** A replaced or restored VM gets a new one of the same name, and nobody but a person deletes one. */
export const NAMED_DISK = 'shop-data';
const ALL = ['web-1', 'db-1'];
/** A replaced VM has a local id of its own (docs/decisions/0008), and keeps it when it is written over. */
const LOCAL_IDS = ['vms/*/localId'];

export const killModes: readonly KillMode[] = [
  { name: 'overwrite', request: { mode: 'overwrite' }, begins: 'spoilt', restores: { vms: ALL, ignore: LOCAL_IDS } },
  { name: 'overwrite-again', request: { mode: 'overwrite' }, begins: 'half-written', restores: { vms: ALL, ignore: LOCAL_IDS } },
  { name: 'recreate', request: { mode: 'recreate' }, begins: 'spoilt', restores: { vms: ALL, ignore: [] } },
  {
    name: 'vms',
    request: { mode: 'vms', vms: ['db-1'], choices: { existingVms: 'replace' } },
    begins: 'spoilt',
    restores: { vms: ['db-1'], ignore: LOCAL_IDS },
  },
  {
    name: 'disk',
    request: { mode: 'disk', disk: { vm: 'db-1', disk: 'Hard disk 1' }, choices: { existingVms: 'overwrite' } },
    begins: 'spoilt',
    restores: { vms: ['db-1'], ignore: LOCAL_IDS },
  },
  {
    name: 'copy',
    request: { mode: 'copy', name: 'shop-copy' },
    begins: 'spoilt',
    makes: 'shop-copy',
    restores: { vms: ALL, ignore: ['vms/*/nics/*/macAddress', 'vms/*/nics/*/ipAddress'], ignoreName: true },
  },
  { name: 'missing-vapp', request: { mode: 'missing-vapp' }, begins: 'gone', makes: VAPP, restores: { vms: ALL, ignore: [] } },
];

/** Two of the shop's VMs, a disk each, with everything else that makes it difficult. */
export const killSeed: Seed = smallShop(structuredClone(smallSeed));

function smallShop(seed: Seed): Seed {
  const shop = seed.vapps.find(({ name }) => name === VAPP);
  if (shop === undefined) throw new Error(`The small cloud has no vApp "${VAPP}"`);
  shop.vms = shop.vms.filter(({ name }) => ALL.includes(name));
  for (const vm of shop.vms) vm.disks.splice(1);
  for (const network of shop.networks) network.nat = network.nat?.filter(({ vm }) => vm !== 'app-1-local');
  seed.vapps = [shop];
  const place = { organization: shop.organization, vdc: shop.vdc, owner: shop.owner };
  const size = { capacityBytes: 16 * 2 ** 20, dataBytes: 2 * 2 ** 20 };
  const rest = { description: 'A disk of its own', busSubType: 'VirtualSCSI' as const, metadata: [] };
  seed.disks = [{ name: NAMED_DISK, ...place, ...size, ...rest, attachedTo: { vapp: VAPP, vm: 'db-1' } }];
  return seed;
}
