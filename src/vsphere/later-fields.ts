import type { XmlElement } from '../common/index.js';
import { copy, renamed, vim } from './vim-xml.js';

/** Where a field of the configuration goes in the specification, and the first API version that knows it there. */
interface LaterField {
  local: string;
  since: string;
  read: (config: XmlElement) => XmlElement | undefined;
}

const same = (local: string, since: string): LaterField => ({ local, since, read: (config) => copy(config, local) });
const ofHardware = (local: string, since: string): LaterField => ({
  local,
  since,
  read: (config) => copy(config.child('hardware'), local),
});

/** In schema order. A vCenter refuses a whole request for one element it does not know. */
const LATER_FIELDS: readonly LaterField[] = [
  same('sgxInfo', '7.0'),
  same('sevEnabled', '7.0.1'),
  { local: 'virtualNuma', since: '8.0', read: virtualNuma },
  ofHardware('motherboardLayout', '8.0'),
  same('pmemFailoverEnabled', '7.0.2'),
  same('vmxStatsCollectionEnabled', '7.0.3'),
  same('vmOpNotificationToAppEnabled', '8.0'),
  same('vmOpNotificationTimeout', '8.0'),
  ofHardware('simultaneousThreads', '8.0'),
  same('pmem', '8.0'),
  same('fixedPassthruHotPlugEnabled', '8.0.1'),
];

/**
 * What vSphere has gained since 6.7.
 * @param apiVersion of the vCenter that makes the VM: "8.0.3.0"; all is kept without it
 */
export function laterFields(config: XmlElement, apiVersion: string | undefined): { children: XmlElement[]; omitted: string[] } {
  const children: XmlElement[] = [];
  const omitted: string[] = [];
  for (const { local, since, read } of LATER_FIELDS) {
    const found = read(config);
    if (found === undefined) continue;
    if (apiVersion === undefined || isAtLeast(apiVersion, since)) children.push(found);
    else omitted.push(`${local}: the target's vSphere ${apiVersion} does not have it`);
  }
  return { children, omitted };
}

/** What vSphere chose by itself is not set. */
function virtualNuma(config: XmlElement): XmlElement | undefined {
  const info = config.child('numaInfo');
  const cores = info?.textAt('autoCoresPerNumaNode') === 'true' ? undefined : copy(info, 'coresPerNumaNode');
  const exposed = info?.child('vnumaOnCpuHotaddExposed');
  if (cores === undefined && exposed === undefined) return undefined;
  return vim('virtualNuma', cores, exposed && renamed(exposed, 'exposeVnumaOnCpuHotadd'));
}

function isAtLeast(version: string, wanted: string): boolean {
  const parts = (text: string) => text.split('.').map(Number);
  const [have, need] = [parts(version), parts(wanted)];
  for (const [at, number] of need.entries()) {
    const other = have[at] ?? 0;
    if (other !== number) return other > number;
  }
  return true;
}
