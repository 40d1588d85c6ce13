import { crc32 } from 'node:zlib';
import { schema } from '../vsphere/schema/schema.js';
import { devicesOf } from './configuration.js';
import { isDisk } from './devices.js';
import type { ToolsState, VmState } from './state.js';
import { booleanAt, listAt, numberAt, objectAt, stringAt, type VimObject } from './vim.js';
import { SimFault } from './vsphere-types.js';

/** 10.1.0, as VMware Tools count: major * 1024 + minor * 32 + patch. CreateSnapshotEx_Task needs it (VADP guide, chapter 7). */
const TOOLS_FOR_QUIESCE_SPEC = 10_272;
const VSS_BACKUP_TYPES = new Set([0, 1, 2, 3, 4, 5, 6]);
const VSS_CONTEXTS = new Set(['ctx_auto', 'ctx_backup', 'ctx_file_share_backup']);
/** Writers of every Windows server. */
const WRITERS = ['System Writer', 'Registry Writer', 'SqlServerWriter'];

export interface QuiesceRequest {
  quiesce: boolean;
  /** VirtualMachineGuestQuiesceSpec of CreateSnapshotEx_Task. */
  spec?: VimObject;
}

export interface Quiesced {
  quiesced: boolean;
  /** vss-manifest.zip of a Windows guest. */
  manifest: Buffer | undefined;
}

export function toolsOf(vm: VmState): ToolsState {
  const tools = vm.tools ?? { installed: true, running: true, version: 12_352 };
  return { ...tools, running: tools.installed && tools.running && vm.powerState === 'poweredOn' };
}

export function isWindows(vm: VmState): boolean {
  return /^win/i.test(stringAt(vm.config, 'guestId') ?? '');
}

/** Tools freeze the guest, or not: a VM that is off or has no running Tools is snapshotted all the same, and nothing is said (vim25). */
export function quiesceGuest(vm: VmState, request: QuiesceRequest): Quiesced {
  if (request.spec) checkSpec(request.spec);
  const tools = toolsOf(vm);
  if (!request.quiesce || !tools.running) return { quiesced: false, manifest: undefined };
  if (request.spec && tools.version < TOOLS_FOR_QUIESCE_SPEC) throw quiesceFault('VMware Tools are older than 10.1.0.');
  if (!isWindows(vm)) return { quiesced: true, manifest: undefined };
  const context = (request.spec && stringAt(request.spec, 'vssBackupContext')) || 'ctx_auto';
  const obstacle = vssObstacle(vm);
  if (context === 'ctx_backup' && obstacle !== undefined) throw quiesceFault(obstacle);
  const application = context !== 'ctx_file_share_backup' && obstacle === undefined;
  return { quiesced: true, manifest: vssManifest(application ? WRITERS : []) };
}

function checkSpec(spec: VimObject): void {
  const invalid = (field: string) =>
    new SimFault('InvalidArgument', `A specified parameter was not correct: quiesceSpec.${field}`, {
      invalidProperty: `quiesceSpec.${field}`,
    });
  const minutes = numberAt(spec, 'timeout') ?? 0;
  if (minutes !== 0 && (minutes < 5 || minutes > 240)) throw invalid('timeout');
  if (!VSS_BACKUP_TYPES.has(numberAt(spec, 'vssBackupType') ?? 0)) throw invalid('vssBackupType');
  if (!VSS_CONTEXTS.has(stringAt(spec, 'vssBackupContext') ?? 'ctx_auto')) throw invalid('vssBackupContext');
}

/** The guide's conditions of application-consistent quiescing (Table 7-5 and "The VMware VSS Implementation"). */
function vssObstacle(vm: VmState): string | undefined {
  const devices = devicesOf(vm.config);
  const disks = devices.filter(isDisk);
  const controllers = devices.filter((device) => schema.isData(device.$type, 'VirtualSCSIController'));
  const onScsi = new Set(controllers.map((controller) => controller.key));
  if (disks.some((disk) => !onScsi.has(disk.controllerKey as number))) return 'The virtual machine has disks that are not on SCSI.';
  const slots = controllers.reduce((sum, controller) => sum + (controller.$type === 'ParaVirtualSCSIController' ? 64 : 15), 0);
  const taken = devices.filter((device) => onScsi.has(device.controllerKey as number)).length;
  if (slots - taken < disks.length) return 'The virtual machine has too few free SCSI slots.';
  return diskUuidEnabled(vm) ? undefined : 'Disk UUIDs are not enabled.';
}

function diskUuidEnabled({ config }: VmState): boolean {
  if (booleanAt(objectAt(config, 'flags'), 'diskUuidEnabled') === true) return true;
  return listAt(config, 'extraConfig').some(({ key, value }) => /^disk\.enableuuid$/i.test(String(key)) && /^true$/i.test(String(value)));
}

function quiesceFault(why: string): SimFault {
  return new SimFault('ApplicationQuiesceFault', `An error occurred while quiescing the virtual machine. ${why}`);
}

/** The backup components document alone, or with a document for each writer. */
function vssManifest(writers: readonly string[]): Buffer {
  const xml = (root: string, inner: string) => Buffer.from(`<${root} xmlns="x-schema:#VssComponentMetadata">${inner}</${root}>`, 'utf16le');
  return zip([
    ['backup.xml', xml('BACKUP_COMPONENTS', '')],
    ...writers.map((name, i): [string, Buffer] => [`writer${i}.xml`, xml('WRITER_METADATA', `<IDENTIFICATION friendlyName="${name}"/>`)]),
  ]);
}

/** Without compression, which a manifest of a few KiB is not worth. */
function zip(files: readonly (readonly [string, Buffer])[]): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, data] of files) {
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(data.length, 14);
    common.writeUInt32LE(data.length, 18);
    common.writeUInt16LE(name.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), data]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.concat([Buffer.from('PK\x01\x02\x14\x00', 'latin1'), common, tail, Buffer.from(name)]));
    bodies.push(local);
    offset += local.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 0, 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(entries.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, entries, end]);
}
