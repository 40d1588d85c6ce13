/**
 * What whoever stores something new leaves free. Collections write lists, segments and packs before they free anything: a repository filled to
 * its last byte could not be emptied by deleting restore points. Some sixteen packs, since backups side by side each look before they write.
 */
export const SPARE_ROOM_BYTES = 512 * 1024 * 1024;
/**
 * What the moving of living records leaves of it: a collection that filled the spare room with copies could write neither the list that
 * names their originals nor the segments of the next one, and would free nothing.
 */
export const REWRITING_LEAVES_BYTES = 128 * 1024 * 1024;
