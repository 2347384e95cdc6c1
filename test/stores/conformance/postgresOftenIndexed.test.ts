import { runThrough } from "./runThrough.ts"

runThrough("postgres that indexes every second event")
