import type { ManifestContent } from '../catalog/index.js';
import type { RepositoryApi, VerifyFinding } from '../repository/index.js';

/** A finding with the names people know; they stand in the restore point itself. */
export interface NamedFinding extends VerifyFinding {
  vapp?: string;
  vm?: string;
  /** "Hard disk 1" */
  disk?: string;
}

/** Reads each damaged restore point's manifest once more; one that cannot be read stays without names. */
export async function nameFindings(
  repository: Pick<RepositoryApi, 'readManifest'>,
  findings: readonly VerifyFinding[],
  signal: AbortSignal,
): Promise<NamedFinding[]> {
  const contents = new Map<string, Promise<Partial<ManifestContent> | undefined>>();
  const contentOf = ({ organizationId, restorePointId, kind }: VerifyFinding) => {
    if (restorePointId === undefined || kind === 'manifest') return undefined;
    const key = `${organizationId}\0${restorePointId}`;
    const known = contents.get(key);
    if (known) return known;
    const reading = repository.readManifest({ organizationId, restorePointId }, signal).then(
      (manifest) => (manifest.content ?? undefined) as Partial<ManifestContent> | undefined,
      () => undefined,
    );
    contents.set(key, reading);
    return reading;
  };
  const named: NamedFinding[] = [];
  for (const finding of findings) {
    const content = await contentOf(finding);
    const vm = content?.vms?.find((candidate) => candidate.disks?.some((disk) => disk.diskId === finding.diskId));
    const disk = vm?.disks.find((candidate) => candidate.diskId === finding.diskId);
    named.push({
      ...finding,
      ...(content?.vapp && { vapp: content.vapp.name }),
      ...(vm && { vm: vm.name }),
      ...(disk && { disk: disk.label }),
    });
  }
  return named;
}

/** One sentence for a person. */
export function describeFinding(finding: NamedFinding): string {
  const { kind, name, restorePointId, vapp, vm, disk, diskId, damagedBytes, ranges, reason } = finding;
  const point = `restore point ${restorePointId}${vapp === undefined ? '' : ` of "${vapp}"`}`;
  const first = ranges?.[0];
  switch (kind) {
    case 'object':
      return `${name} in the repository is damaged: ${reason}`;
    case 'manifest':
      return `The ${point} is damaged: ${reason}`;
    case 'document':
      return `Document ${name} of ${point} is lost: ${reason}`;
    case 'disk': {
      const where = vm === undefined ? `disk ${diskId}` : `${disk} of VM "${vm}"`;
      return `${damagedBytes} bytes of ${where} in ${point} are lost, from byte ${first?.offsetBytes} on: ${reason}`;
    }
  }
}
