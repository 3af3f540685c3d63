import type { Readers } from '../../readers/readers.ts';
import { attribute, attributesOf, payloads, request, u16 } from './netlink.ts';

/** Generic netlink (include/uapi/linux/genetlink.h): families of commands whose numbers the kernel gives when it starts. */
export const NETLINK_GENERIC = 16;
/** struct genlmsghdr: command, version, reserved. */
export const GENERIC_BYTES = 4;
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;

/** Number of a family; undefined without the native readers. Throws ReaderError (ENOENT: the kernel does not have it) and CollectError. */
export function genericFamily(readers: Pick<Readers, 'netlink'>, name: string): number | undefined {
  const question = request(
    GENL_ID_CTRL,
    Buffer.concat([Buffer.from([CTRL_CMD_GETFAMILY, 1, 0, 0]), attribute(CTRL_ATTR_FAMILY_NAME, Buffer.from(`${name}\0`))]),
  );
  for (const payload of payloads(readers.netlink(NETLINK_GENERIC, question) ?? Buffer.alloc(0), GENL_ID_CTRL, GENERIC_BYTES)) {
    const id = attributesOf(payload.subarray(GENERIC_BYTES)).get(CTRL_ATTR_FAMILY_ID);
    if (id !== undefined && id.length >= 2) return u16(id, 0);
  }
  return undefined;
}
