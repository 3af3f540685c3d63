import { OK } from '../../../collect/contract.ts';
import { type Family, family } from '../../../model/family.ts';
import { type DeviceFile, DeviceFiles } from '../device-files.ts';
import type { NodePart } from '../part.ts';

const INFO = family('node_drm_card_info', 'gauge', 'A graphics card, as labels.', ['card', 'memory_vendor', 'power_performance_level', 'unique_id', 'vendor']);

function ofCard(name: string, help: string): Family {
  return family(`node_drm_${name}`, 'gauge', help, ['card']);
}

/** By file of the device. */
const FIGURES: readonly (readonly [file: string, family: Family])[] = [
  ['gpu_busy_percent', ofCard('gpu_busy_percent', 'How busy the processor of a card is, in percent.')],
  ['mem_info_gtt_total', ofCard('memory_gtt_size_bytes', 'Main memory that a card may use through its translation table, in bytes.')],
  ['mem_info_gtt_used', ofCard('memory_gtt_used_bytes', 'Main memory that a card does use, in bytes.')],
  ['mem_info_vis_vram_total', ofCard('memory_vis_vram_size_bytes', 'Memory of a card that the host can reach, in bytes.')],
  ['mem_info_vis_vram_used', ofCard('memory_vis_vram_used_bytes', 'Used memory of a card that the host can reach, in bytes.')],
  ['mem_info_vram_total', ofCard('memory_vram_size_bytes', 'Memory of a card, in bytes.')],
  ['mem_info_vram_used', ofCard('memory_vram_used_bytes', 'Used memory of a card, in bytes.')],
];

interface Card {
  readonly card: string;
  readonly uevent: DeviceFile;
  readonly memoryVendor: DeviceFile;
  readonly performanceLevel: DeviceFile;
  readonly uniqueId: DeviceFile;
  readonly figures: readonly (readonly [file: DeviceFile, family: Family])[];
}

/** /sys/class/drm/cardN/device of cards with the driver amdgpu. What a card does not tell is 0 or '', as in the peer. */
export const part: NodePart = {
  name: 'drm',
  enabledByDefault: false,
  families: [INFO, ...FIGURES.map(([, family]) => family)],
  open(scope) {
    const root = scope.sys('class/drm');
    const folder = scope.directory(root);
    const files = new DeviceFiles(scope.readers, scope.monotonicMs);
    let cards: readonly Card[] = [];

    const cardOf = (card: string): Card => {
      const device = `${root}/${card}/device`;
      return {
        card,
        uevent: files.text(`${device}/uevent`),
        memoryVendor: files.text(`${device}/mem_info_vram_vendor`),
        performanceLevel: files.text(`${device}/power_dpm_force_performance_level`),
        uniqueId: files.text(`${device}/unique_id`),
        figures: FIGURES.map(([file, family]) => [files.number(`${device}/${file}`), family] as const),
      };
    };

    return {
      collect(sheet) {
        const scan = folder.scan();
        if (scan === 'absent') return OK;
        // Connectors are beside the cards, card0-DP-1; a card's own name has one digit.
        if (scan === 'changed') cards = files.rebuild(() => folder.names.filter((name) => /^card[0-9]$/.test(name)).map(cardOf));
        files.scan();
        for (const { uevent } of cards) if (uevent.errno !== 0) throw uevent.problem();
        for (const { card, uevent, memoryVendor, performanceLevel, uniqueId, figures } of cards) {
          if (!uevent.text.includes('DRIVER=amdgpu')) continue;
          sheet.sample(INFO, [card, memoryVendor.text, performanceLevel.text, uniqueId.text, 'amd'], 1);
          for (const [file, family] of figures) sheet.sample(family, [card], Number.isNaN(file.value) ? 0 : file.value);
        }
        return OK;
      },
      replay(sheet, steps) {
        if (!folder.replay(steps)) return;
        files.replay(sheet, steps);
      },
      close: () => files.close(),
    };
  },
};
