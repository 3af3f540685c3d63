import { containerSuite } from './suite.ts';

containerSuite('hybrid');
