import type { Persona } from './persona.ts';
import { CADVISOR } from './personas/cadvisor.ts';
import { NODE_EXPORTER } from './personas/node-exporter.ts';

export const PERSONAS: readonly Persona[] = [CADVISOR, NODE_EXPORTER];

export function personaNamed(name: string): Persona | undefined {
  return PERSONAS.find((persona) => persona.name === name);
}
