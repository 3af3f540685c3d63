import type { Persona } from './persona.ts';
import { NODE_EXPORTER } from './personas/node-exporter.ts';

export const PERSONAS: readonly Persona[] = [NODE_EXPORTER];

export function personaNamed(name: string): Persona | undefined {
  return PERSONAS.find((persona) => persona.name === name);
}
