/** What this world knows by heart. Every left side occurs once in its list, so every question has one answer. */

export type Fact = readonly [subject: string, answer: string];

const pairs = (text: string): Fact[] =>
  text
    .split(/[,\n]/)
    .map((entry) => entry.trim())
    .filter((entry) => entry !== "")
    .map((entry) => {
      const [subject, answer] = entry.split(":").map((side) => side.trim());
      return [subject, answer] as const;
    });

export const capitals = pairs(`
  France: Paris, Spain: Madrid, Portugal: Lisbon, Italy: Rome, Germany: Berlin, Austria: Vienna, Belgium: Brussels
  Denmark: Copenhagen, Sweden: Stockholm, Norway: Oslo, Finland: Helsinki, Iceland: Reykjavik, Ireland: Dublin
  Poland: Warsaw, Hungary: Budapest, Romania: Bucharest, Bulgaria: Sofia, Greece: Athens, Serbia: Belgrade
  Croatia: Zagreb, Slovenia: Ljubljana, Slovakia: Bratislava, Czechia: Prague, Ukraine: Kyiv, Belarus: Minsk
  Lithuania: Vilnius, Latvia: Riga, Estonia: Tallinn, Russia: Moscow, Turkey: Ankara, Cyprus: Nicosia, Malta: Valletta
  Albania: Tirana, Moldova: Chisinau, Switzerland: Bern, Georgia: Tbilisi, Armenia: Yerevan, Azerbaijan: Baku
  Egypt: Cairo, Morocco: Rabat, Tunisia: Tunis, Algeria: Algiers, Libya: Tripoli, Sudan: Khartoum, Ethiopia: Addis Ababa
  Kenya: Nairobi, Uganda: Kampala, Rwanda: Kigali, Ghana: Accra, Nigeria: Abuja, Senegal: Dakar, Mali: Bamako
  Niger: Niamey, Angola: Luanda, Zambia: Lusaka, Zimbabwe: Harare, Mozambique: Maputo, Namibia: Windhoek
  Botswana: Gaborone, Madagascar: Antananarivo, Somalia: Mogadishu, Liberia: Monrovia, Togo: Lome, Gabon: Libreville
  Eritrea: Asmara, Malawi: Lilongwe, China: Beijing, Japan: Tokyo, Mongolia: Ulaanbaatar, Vietnam: Hanoi
  Thailand: Bangkok, Laos: Vientiane, Cambodia: Phnom Penh, Malaysia: Kuala Lumpur, Philippines: Manila, India: New Delhi
  Pakistan: Islamabad, Bangladesh: Dhaka, Nepal: Kathmandu, Bhutan: Thimphu, Afghanistan: Kabul, Iran: Tehran
  Iraq: Baghdad, Syria: Damascus, Lebanon: Beirut, Jordan: Amman, Qatar: Doha, Oman: Muscat, Bahrain: Manama
  Uzbekistan: Tashkent, Kazakhstan: Astana, Canada: Ottawa, Cuba: Havana, Jamaica: Kingston, Haiti: Port-au-Prince
  Honduras: Tegucigalpa, Nicaragua: Managua, Colombia: Bogota, Venezuela: Caracas, Ecuador: Quito, Peru: Lima
  Chile: Santiago, Argentina: Buenos Aires, Uruguay: Montevideo, Paraguay: Asuncion, Brazil: Brasilia
  Australia: Canberra, Fiji: Suva, Samoa: Apia
`);

/** Written once, asked in both directions. */
const oppositePairs = pairs(`
  hot: cold, big: small, tall: short, fast: slow, happy: sad, light: dark, full: empty, old: young, rich: poor
  strong: weak, hard: soft, wet: dry, clean: dirty, early: late, near: far, high: low, deep: shallow
  thick: thin, wide: narrow, loud: quiet, rough: smooth, sharp: blunt, sweet: bitter, brave: timid, kind: cruel
  true: false, right: wrong, up: down, in: out, on: off, over: under, above: below, before: after, front: back
  top: bottom, first: last, begin: end, start: stop, push: pull, win: lose, buy: sell, give: take
  come: go, love: hate, laugh: cry, live: die, rise: fall, remember: forget, arrive: depart, accept: refuse
  increase: decrease, expand: shrink, attack: defend, build: destroy, borrow: lend, day: night, summer: winter
  east: west, north: south, morning: evening, friend: enemy, war: peace, truth: lie, arrival: departure
  success: failure, victory: defeat, profit: loss, birth: death, heaven: hell, king: queen, boy: girl, man: woman
  father: mother, brother: sister, son: daughter, uncle: aunt, husband: wife, nephew: niece, always: never
  everything: nothing, everyone: nobody, inside: outside, many: few, more: less, same: different, simple: complex
  public: private, ancient: modern, safe: dangerous, cheap: expensive, possible: impossible, legal: illegal
  visible: invisible, polite: rude
`);

export const opposites: Fact[] = oppositePairs.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]);

export const spanish = pairs(`
  dog: perro, cat: gato, horse: caballo, cow: vaca, bird: pájaro, fish: pez, pig: cerdo, sheep: oveja, mouse: ratón
  bear: oso, wolf: lobo, fox: zorro, lion: león, duck: pato, frog: rana, snake: serpiente, bee: abeja, ant: hormiga
  house: casa, door: puerta, wall: pared, roof: techo, room: cuarto, kitchen: cocina, bed: cama, table: mesa
  chair: silla, key: llave, lamp: lámpara, clock: reloj, mirror: espejo, street: calle, city: ciudad, bridge: puente
  road: camino, school: escuela, church: iglesia, market: mercado, garden: jardín, farm: granja, water: agua, milk: leche
  egg: huevo, meat: carne, rice: arroz, salt: sal, sugar: azúcar, apple: manzana, lemon: limón, grape: uva, onion: cebolla
  tomato: tomate, soup: sopa, coffee: café, tea: té, sun: sol, moon: luna, star: estrella, sky: cielo, cloud: nube
  rain: lluvia, snow: nieve, wind: viento, sea: mar, river: río, lake: lago, island: isla, mountain: montaña
  forest: bosque, tree: árbol, leaf: hoja, flower: flor, grass: hierba, stone: piedra, sand: arena, fire: fuego
  earth: tierra, head: cabeza, hand: mano, foot: pie, eye: ojo, ear: oreja, nose: nariz, mouth: boca, tooth: diente
  hair: pelo, heart: corazón, blood: sangre, bone: hueso, arm: brazo, leg: pierna, finger: dedo, red: rojo, blue: azul
  green: verde, yellow: amarillo, white: blanco, black: negro, one: uno, two: dos, three: tres, four: cuatro, five: cinco
  six: seis, seven: siete, eight: ocho, nine: nueve, ten: diez, week: semana, month: mes, year: año, hour: hora
  today: hoy, tomorrow: mañana, yesterday: ayer, letter: carta, paper: papel, pen: pluma, money: dinero, car: coche
  train: tren, plane: avión, boat: barco, wheel: rueda, shirt: camisa, dress: vestido, coat: abrigo, gift: regalo
  game: juego, song: canción, dream: sueño, voice: voz, doctor: médico, teacher: maestro, neighbor: vecino, child: niño
`);

const kinds: Record<string, string> = {
  animal: "tiger, rabbit, camel, goat, monkey, donkey, zebra, otter, beaver",
  fruit: "banana, cherry, mango, pear, peach, plum, melon, papaya, apricot",
  tool: "hammer, saw, drill, wrench, chisel, pliers, screwdriver, shovel, rake",
  vegetable: "carrot, potato, cabbage, spinach, lettuce, turnip, celery, broccoli, leek",
  metal: "iron, gold, silver, copper, zinc, nickel, lead, aluminum, titanium",
  instrument: "piano, trumpet, flute, drum, harp, guitar, cello, clarinet, banjo",
  vehicle: "truck, bus, bicycle, tractor, tram, scooter, van, taxi, ambulance",
  sport: "tennis, soccer, hockey, rugby, golf, boxing, cricket, judo, volleyball",
  plant: "rose, tulip, daisy, lily, orchid, fern, ivy, cactus, lavender",
  insect: "beetle, moth, wasp, butterfly, mosquito, grasshopper, ladybug, termite, dragonfly",
  planet: "Mercury, Venus, Mars, Jupiter, Saturn, Uranus, Neptune",
  language: "Latin, Hindi, Arabic, Swahili, Welsh, Dutch, Korean, Basque",
};

export const categories: Fact[] = Object.entries(kinds).flatMap(([kind, members]) =>
  pairs(members.replaceAll(",", `:${kind},`).concat(`:${kind}`)),
);

export const past = pairs(`
  run: ran, eat: ate, see: saw, sing: sang, drink: drank, swim: swam, write: wrote, drive: drove, speak: spoke
  break: broke, choose: chose, freeze: froze, steal: stole, wake: woke, ride: rode, know: knew, grow: grew, throw: threw
  fly: flew, draw: drew, blow: blew, think: thought, bring: brought, catch: caught, teach: taught, seek: sought
  fight: fought, keep: kept, sleep: slept, feel: felt, leave: left, meet: met, sweep: swept, weep: wept, creep: crept
  send: sent, spend: spent, bend: bent, stand: stood, hold: held, tell: told, find: found, bind: bound, grind: ground
  hear: heard, say: said, pay: paid, lay: laid, have: had, do: did, be: was, become: became
  forgive: forgave, shake: shook, mistake: mistook, wear: wore, tear: tore, swear: swore, hide: hid
  bite: bit, slide: slid, shoot: shot, get: got, sit: sat, spit: spat, dig: dug, stick: stuck
  swing: swung, hang: hung, sting: stung, spin: spun, sink: sank, shine: shone, feed: fed, bleed: bled
  breed: bred, strike: struck, mean: meant, deal: dealt, understand: understood
  walk: walked, jump: jumped, help: helped, ask: asked, call: called, dance: danced, smile: smiled, play: played
  carry: carried, study: studied, hurry: hurried, stay: stayed, clap: clapped, plan: planned, drop: dropped
`);
