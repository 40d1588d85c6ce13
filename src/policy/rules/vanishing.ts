/** For how long it matters that an object vanished: somebody on holiday may come back until then. */
export const VANISHING_MS = 7 * 24 * 60 * 60_000;

const FEWEST = 5;
const SHARE = 0.2;

/**
 * Whether so many objects of an organization vanished that it is no everyday deletion: VCD was put back from a dump, the service's account
 * sees less than it did, or somebody means harm. The inventory cannot tell: what VCD lists and what it counts agree in all of these.
 * @param counts of objects with restore points: those that vanished lately, and those that are there.
 */
export function isMass({ gone, stillThere }: { gone: number; stillThere: number }): boolean {
  return gone >= FEWEST && gone >= SHARE * (gone + stillThere);
}
