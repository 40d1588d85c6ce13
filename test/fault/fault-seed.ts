import { smallSeed } from '../flow/small-seed.js';
import type { Seed } from '../simulator/seeds/schema.js';

const MIB = 2 ** 20;

export const SHOP = 'shop';
export const SHOP_VMS: readonly string[] = ['web-1', 'db-1'];
/** What the shop was when its first restore point was made. */
export const FIRST_CHECKPOINT = 'first';
/** In a catalog, the shop as it was before anybody wrote into it. */
export const TEMPLATE = 'shop-image';
export const MEDIUM = 'installer';
/** A replaced or restored VM gets a new one of the same name, and nobody but a person deletes one. */
const NAMED_DISK = 'shop-data';

/** Two of the shop's VMs, a disk each, with everything else that makes it difficult. */
export const FAULT_SEED: Seed = smallShop(structuredClone(smallSeed));

function smallShop(seed: Seed): Seed {
  const shop = seed.vapps.find(({ name }) => name === SHOP);
  if (shop === undefined) throw new Error(`The small cloud has no vApp "${SHOP}"`);
  shop.vms = shop.vms.filter(({ name }) => SHOP_VMS.includes(name));
  for (const vm of shop.vms) vm.disks.splice(1);
  // All of each is read and compared again and again. What is odd about a size stays odd.
  for (const disk of shop.vms.flatMap(({ disks }) => disks)) {
    disk.capacityBytes = 16 * MIB + (disk.capacityBytes % 65_536);
    disk.dataBytes = 3 * MIB;
  }
  for (const network of shop.networks) network.nat = network.nat?.filter(({ vm }) => vm !== 'app-1-local');
  seed.vapps = [shop];
  const place = { organization: shop.organization, vdc: shop.vdc, owner: shop.owner };
  const size = { capacityBytes: 8 * MIB, dataBytes: 2 * MIB };
  const rest = { description: 'A disk of its own', busSubType: 'VirtualSCSI' as const, metadata: [] };
  seed.disks = [{ name: NAMED_DISK, ...place, ...size, ...rest, attachedTo: { vapp: SHOP, vm: 'db-1' } }];
  seed.catalogs = [
    {
      ...{ name: 'shop-images', description: '', organization: shop.organization, owner: shop.owner, access: [], metadata: [] },
      templates: [{ name: TEMPLATE, description: '', fromVapp: SHOP, goldMaster: false, customizeOnInstantiate: true, metadata: [] }],
      media: [{ name: MEDIUM, description: '', imageType: 'iso', sizeBytes: 3 * MIB + 2048, metadata: [] }],
    },
  ];
  return seed;
}
