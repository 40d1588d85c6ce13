/**
 * Keys of a disk's descriptor (ddb.*) that belong to the disk they were read from, and never to one that is made anew:
 *
 * - uuid, uuid.*: the new disk has the one vCenter gave it; two disks with one UUID are one disk to a guest and to vCenter
 * - adapterType: follows from the controller; what old disks have there may be invalid and breaks consolidation (6.7
 *   release notes, "legacyESX")
 * - thinProvisioned, virtualHWVersion, encoding, longContentID: how the new file is made and what is in it
 * - objectParentUri, nativeParentHint, iofilters, sidecars, and keys of encryption: name files, objects and keys of the old
 *
 * What is left (geometry, toolsVersion, toolsInstallType, comment and whatever a guest's tools wrote) comes back.
 */
const OWN =
  /^(uuid(\..*)?|adapterType|thinProvisioned|virtualHWVersion|encoding|longContentID|objectParentUri|nativeParentHint|iofilters.*|sidecars.*|crypto.*|encryption.*|keySafe.*)$/i;

/** VDDK writes them between double quotes, on one line. */
const WRITABLE = /^[^"\r\n]*$/;

/**
 * What of the captured metadata is written to a new disk, before its data.
 * @param present metadata of the new disk: what is so already is not written
 * @param sameSize geometry is that of a disk of the captured size
 */
export function restorableMetadata(
  captured: Readonly<Record<string, string>> | null | undefined,
  present: Readonly<Record<string, string>>,
  sameSize: boolean,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(captured ?? {}).filter(
      ([key, value]) =>
        !OWN.test(key) &&
        (sameSize || !key.startsWith('geometry.')) &&
        /^[\w.-]+$/.test(key) &&
        WRITABLE.test(value) &&
        present[key] !== value,
    ),
  );
}
