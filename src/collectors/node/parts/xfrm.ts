import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import type { NodePart } from '../part.ts';

/** What is counted, by key without Xfrm (Documentation/networking/xfrm_proc.rst). */
const ERRORS: Readonly<Record<string, string>> = {
  InError: 'Packets received with an error that no other family counts.',
  InBufferError: 'Packets received for which there was no buffer.',
  InHdrError: 'Packets received with a bad header.',
  InNoStates: 'Packets received for which there was no security association.',
  InStateProtoError: 'Packets received that could not be decrypted or authenticated.',
  InStateModeError: 'Packets received that the mode of their association could not take.',
  InStateSeqError: 'Packets received with a sequence number outside of the window.',
  InStateExpired: 'Packets received for an association that has expired.',
  InStateMismatch: 'Packets received that do not fit an option of their association, such as encapsulation in UDP.',
  InStateInvalid: 'Packets received for an association that is not valid.',
  InTmplMismatch: 'Packets received with associations that no template of the policy asks for.',
  InNoPols: 'Packets received with associations for which there is no policy.',
  InPolBlock: 'Packets received that a policy forbids.',
  InPolError: 'Packets received whose policy could not be found out.',
  OutError: 'Packets to be sent with an error that no other family counts.',
  OutBundleGenError: 'Packets to be sent for which no bundle of associations could be made.',
  OutBundleCheckError: 'Packets to be sent whose bundle of associations was no longer valid.',
  OutNoStates: 'Packets to be sent for which there was no security association.',
  OutStateProtoError: 'Packets to be sent that could not be encrypted or signed.',
  OutStateModeError: 'Packets to be sent that the mode of their association could not take.',
  OutStateSeqError: 'Packets to be sent for which there was no sequence number left.',
  OutStateExpired: 'Packets to be sent for an association that has expired.',
  OutPolBlock: 'Packets to be sent that a policy forbids.',
  OutPolDead: 'Packets to be sent whose policy was removed.',
  OutPolError: 'Packets to be sent whose policy could not be found out.',
  FwdHdrError: 'Packets to be forwarded with a bad header.',
  OutStateInvalid: 'Packets to be sent for an association that is not valid.',
  AcquireError: 'Packets for an association that was still being made.',
};

function familyOf(key: string, help: string): Family {
  const name = key.replace(/[A-Z]/g, (letter, at: number) => (at === 0 ? '' : '_') + letter.toLowerCase());
  return family(`node_xfrm_${name}_packets_total`, 'counter', help);
}

const BY_KEY: ReadonlyMap<string, Family> = new Map(Object.entries(ERRORS).map(([key, help]) => [`Xfrm${key}`, familyOf(key, help)]));

/** net/xfrm_stat below the procfs root: `XfrmInNoStates  5` per line. Lines that a kernel lacks are 0. */
export const part: NodePart = {
  name: 'xfrm',
  enabledByDefault: false,
  families: [...BY_KEY.values()],
  open(scope) {
    const stats = scope.bound(scope.proc('net/xfrm_stat'), { keys: 1 }, (rows, series) => {
      const missing = new Set(BY_KEY.values());
      for (const [line, words] of rows.entries()) {
        const [key, value] = words;
        if (words.length !== 2 || value === undefined || value.at < 0) throw series.problem(line, '"NAME NUMBER"');
        const family = BY_KEY.get(key?.text ?? '');
        if (family === undefined) continue;
        series.number(line, value, family);
        missing.delete(family);
      }
      for (const family of missing) series.constant(family, [], 0);
    });
    return {
      collect: (sheet) => (stats.collect(sheet) ? OK : scope.missing(stats)),
      replay: (_, steps) => stats.replay(steps),
      close: () => stats.close(),
    };
  },
};
