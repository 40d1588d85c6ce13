/** Of what was begun to be written over and did not come to its end; the same sentence whoever finds it. */
export function halfWrittenVm(name: string): string {
  return `VM "${name}" is half written over and must not be started; restore it again.`;
}

/** Its disks are those of the restore point, and the restore has not come to its end. */
export function writtenOverVm(name: string): string {
  return `VM "${name}" is written over, and what a restore does after that was not done; restore it again.`;
}

export function halfWrittenNamedDisk(name: string): string {
  return `Named disk "${name}" is half written over and must not be used; restore it again.`;
}
