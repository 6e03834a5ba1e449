// What time zones are called in English: `GENERIC|GENERIC, SHORT|MINUTES=LONG=SHORT;…|ZONES`, by the minutes from
// Greenwich. After the Unicode CLDR, for the zones as they are today.

const ZONES = `Greenwich Mean Time||0=Greenwich Mean Time=GMT|Africa/Abidjan Africa/Accra Africa/Bamako Africa/Banjul Africa/Bissau Africa/Conakry Africa/Dakar Africa/Freetown Africa/Lome Africa/Monrovia Africa/Nouakchott Africa/Ouagadougou Africa/Sao_Tome Africa/Timbuktu America/Danmarkshavn Atlantic/Reykjavik Atlantic/St_Helena Etc/GMT+0 Etc/GMT-0 Etc/GMT0 Etc/Greenwich Greenwich Iceland
East Africa Time||180=East Africa Time=|Africa/Addis_Ababa Africa/Asmara Africa/Asmera Africa/Dar_es_Salaam Africa/Djibouti Africa/Kampala Africa/Mogadishu Africa/Nairobi Indian/Antananarivo Indian/Comoro Indian/Mayotte
Central European Standard Time||60=Central European Standard Time=|Africa/Algiers Africa/Tunis
West Africa Time||60=West Africa Time=|Africa/Bangui Africa/Brazzaville Africa/Douala Africa/Kinshasa Africa/Lagos Africa/Libreville Africa/Luanda Africa/Malabo Africa/Ndjamena Africa/Niamey Africa/Porto-Novo
Central Africa Time||120=Central Africa Time=|Africa/Blantyre Africa/Bujumbura Africa/Gaborone Africa/Harare Africa/Juba Africa/Khartoum Africa/Kigali Africa/Lubumbashi Africa/Lusaka Africa/Maputo Africa/Windhoek
Eastern European Time||120=Eastern European Standard Time=;180=Eastern European Summer Time=|Africa/Cairo Asia/Beirut Asia/Famagusta Asia/Gaza Asia/Hebron Asia/Nicosia EET Egypt Europe/Athens Europe/Bucharest Europe/Chisinau Europe/Helsinki Europe/Kiev Europe/Kyiv Europe/Mariehamn Europe/Nicosia Europe/Riga Europe/Sofia Europe/Tallinn Europe/Tiraspol Europe/Uzhgorod Europe/Vilnius Europe/Zaporozhye
Morocco Time|||Africa/Casablanca
Central European Time||60=Central European Standard Time=;120=Central European Summer Time=|Africa/Ceuta Arctic/Longyearbyen Atlantic/Jan_Mayen CET Europe/Amsterdam Europe/Andorra Europe/Belgrade Europe/Berlin Europe/Bratislava Europe/Brussels Europe/Budapest Europe/Busingen Europe/Copenhagen Europe/Gibraltar Europe/Ljubljana Europe/Luxembourg Europe/Madrid Europe/Malta Europe/Monaco Europe/Oslo Europe/Paris Europe/Podgorica Europe/Prague Europe/Rome Europe/San_Marino Europe/Sarajevo Europe/Skopje Europe/Stockholm Europe/Tirane Europe/Vaduz Europe/Vatican Europe/Vienna Europe/Warsaw Europe/Zagreb Europe/Zurich MET Poland
Western Sahara Time|||Africa/El_Aaiun
South Africa Standard Time||120=South Africa Standard Time=|Africa/Johannesburg Africa/Maseru Africa/Mbabane
Eastern European Standard Time||120=Eastern European Standard Time=|Africa/Tripoli Europe/Kaliningrad Libya
Hawaii-Aleutian Time|HAT|-600=Hawaii-Aleutian Standard Time=HAST;-540=Hawaii-Aleutian Daylight Time=HADT|America/Adak America/Atka US/Aleutian
Alaska Time|AKT|-540=Alaska Standard Time=AKST;-480=Alaska Daylight Time=AKDT|America/Anchorage America/Juneau America/Metlakatla America/Nome America/Sitka America/Yakutat US/Alaska
Atlantic Standard Time|AST|-240=Atlantic Standard Time=AST|America/Anguilla America/Antigua America/Aruba America/Barbados America/Blanc-Sablon America/Curacao America/Dominica America/Grenada America/Guadeloupe America/Kralendijk America/Lower_Princes America/Marigot America/Martinique America/Montserrat America/Port_of_Spain America/Puerto_Rico America/Santo_Domingo America/St_Barthelemy America/St_Kitts America/St_Lucia America/St_Thomas America/St_Vincent America/Tortola America/Virgin
Brasilia Standard Time||-180=Brasilia Standard Time=|America/Araguaina America/Bahia America/Belem America/Fortaleza America/Maceio America/Recife America/Santarem America/Sao_Paulo Brazil/East
Argentina Standard Time||-180=Argentina Standard Time=|America/Argentina/Buenos_Aires America/Argentina/Catamarca America/Argentina/ComodRivadavia America/Argentina/Cordoba America/Argentina/Jujuy America/Argentina/La_Rioja America/Argentina/Mendoza America/Argentina/Rio_Gallegos America/Argentina/Salta America/Argentina/San_Juan America/Argentina/San_Luis America/Argentina/Tucuman America/Argentina/Ushuaia America/Buenos_Aires America/Catamarca America/Cordoba America/Jujuy America/Mendoza America/Rosario
Paraguay Time||-180=Paraguay Standard Time=|America/Asuncion
Eastern Standard Time|EST|-300=Eastern Standard Time=EST|America/Atikokan America/Cancun America/Cayman America/Coral_Harbour America/Jamaica America/Panama EST Jamaica
Central Standard Time|CST|-360=Central Standard Time=CST|America/Bahia_Banderas America/Belize America/Chihuahua America/Costa_Rica America/El_Salvador America/Guatemala America/Managua America/Merida America/Mexico_City America/Monterrey America/Regina America/Swift_Current America/Tegucigalpa Canada/Saskatchewan Mexico/General
Amazon Standard Time||-240=Amazon Standard Time=|America/Boa_Vista America/Campo_Grande America/Cuiaba America/Manaus America/Porto_Velho Brazil/West
Colombia Standard Time||-300=Colombia Standard Time=|America/Bogota
Mountain Time|MT|-420=Mountain Standard Time=MST;-360=Mountain Daylight Time=MDT|America/Boise America/Cambridge_Bay America/Ciudad_Juarez America/Denver America/Edmonton America/Inuvik America/Shiprock America/Yellowknife Canada/Mountain MST7MDT Navajo US/Mountain
Venezuela Time||-240=Venezuela Time=|America/Caracas
French Guiana Time||-180=French Guiana Time=|America/Cayenne
Central Time|CT|-360=Central Standard Time=CST;-300=Central Daylight Time=CDT|America/Chicago America/Indiana/Knox America/Indiana/Tell_City America/Knox_IN America/Matamoros America/Menominee America/North_Dakota/Beulah America/North_Dakota/Center America/North_Dakota/New_Salem America/Ojinaga America/Rainy_River America/Rankin_Inlet America/Resolute America/Winnipeg CST6CDT Canada/Central US/Central US/Indiana-Starke
Chile Time||-180=Chile Summer Time=|America/Coyhaique
Mountain Standard Time|MST|-420=Mountain Standard Time=MST|America/Creston America/Dawson_Creek America/Fort_Nelson America/Phoenix MST US/Arizona
Yukon Time||-420=Yukon Time=|America/Dawson America/Whitehorse Canada/Yukon
Eastern Time|ET|-300=Eastern Standard Time=EST;-240=Eastern Daylight Time=EDT|America/Detroit America/Fort_Wayne America/Grand_Turk America/Indiana/Indianapolis America/Indiana/Marengo America/Indiana/Petersburg America/Indiana/Vevay America/Indiana/Vincennes America/Indiana/Winamac America/Indianapolis America/Iqaluit America/Kentucky/Louisville America/Kentucky/Monticello America/Louisville America/Montreal America/Nassau America/New_York America/Nipigon America/Pangnirtung America/Port-au-Prince America/Thunder_Bay America/Toronto Canada/Eastern EST5EDT US/East-Indiana US/Eastern US/Michigan
Acre Standard Time||-300=Acre Standard Time=|America/Eirunepe America/Porto_Acre America/Rio_Branco Brazil/Acre
Pacific Time|PT|-480=Pacific Standard Time=PST;-420=Pacific Daylight Time=PDT|America/Ensenada America/Los_Angeles America/Santa_Isabel America/Tijuana America/Vancouver Canada/Pacific Mexico/BajaNorte PST8PDT US/Pacific
Atlantic Time|AT|-240=Atlantic Standard Time=AST;-180=Atlantic Daylight Time=ADT|America/Glace_Bay America/Goose_Bay America/Halifax America/Moncton America/Thule Atlantic/Bermuda Canada/Atlantic
Greenland Time||-120=Greenland Standard Time=;-60=Greenland Summer Time=|America/Godthab America/Nuuk America/Scoresbysund
Ecuador Time||-300=Ecuador Time=|America/Guayaquil
Guyana Time||-240=Guyana Time=|America/Guyana
Cuba Time||-300=Cuba Standard Time=;-240=Cuba Daylight Time=|America/Havana Cuba
Mexican Pacific Standard Time||-420=Mexican Pacific Standard Time=|America/Hermosillo America/Mazatlan Mexico/BajaSur
Bolivia Time||-240=Bolivia Time=|America/La_Paz
Peru Standard Time||-300=Peru Standard Time=|America/Lima
St. Pierre & Miquelon Time||-180=St. Pierre & Miquelon Standard Time=;-120=St. Pierre & Miquelon Daylight Time=|America/Miquelon
Uruguay Standard Time||-180=Uruguay Standard Time=|America/Montevideo
Fernando de Noronha Standard Time||-120=Fernando de Noronha Standard Time=|America/Noronha Brazil/DeNoronha
Suriname Time||-180=Suriname Time=|America/Paramaribo
Punta Arenas Time|||America/Punta_Arenas
Chile Time||-180=Chile Summer Time=;-240=Chile Standard Time=|America/Santiago Chile/Continental
Newfoundland Time||-210=Newfoundland Standard Time=;-150=Newfoundland Daylight Time=|America/St_Johns Canada/Newfoundland
Australian Western Standard Time||480=Australian Western Standard Time=|Antarctica/Casey Australia/Perth Australia/West
Davis Time||420=Davis Time=|Antarctica/Davis
Dumont d’Urville Time||600=Dumont d’Urville Time=|Antarctica/DumontDUrville
Australian Eastern Time||600=Australian Eastern Standard Time=;660=Australian Eastern Daylight Time=|Antarctica/Macquarie Australia/ACT Australia/Canberra Australia/Currie Australia/Hobart Australia/Melbourne Australia/NSW Australia/Sydney Australia/Tasmania Australia/Victoria
Mawson Time||300=Mawson Time=|Antarctica/Mawson
New Zealand Time||720=New Zealand Standard Time=;780=New Zealand Daylight Time=|Antarctica/McMurdo Antarctica/South_Pole NZ Pacific/Auckland
Palmer Land Time|||Antarctica/Palmer
Rothera Time||-180=Rothera Time=|Antarctica/Rothera
Syowa Time||180=Syowa Time=|Antarctica/Syowa
Troll Station Time||0=Greenwich Mean Time=GMT|Antarctica/Troll
Vostok Time||300=Vostok Time=|Antarctica/Vostok
Arabian Standard Time||180=Arabian Standard Time=|Asia/Aden Asia/Baghdad Asia/Bahrain Asia/Kuwait Asia/Qatar Asia/Riyadh
Kazakhstan Time||300=Kazakhstan Time=|Asia/Almaty Asia/Aqtau Asia/Aqtobe Asia/Atyrau Asia/Oral Asia/Qostanay Asia/Qyzylorda
Jordan Time|||Asia/Amman
Kamchatka Standard Time||720=Kamchatka Standard Time=|Asia/Anadyr Asia/Kamchatka
Turkmenistan Standard Time||300=Turkmenistan Standard Time=|Asia/Ashgabat Asia/Ashkhabad
Azerbaijan Standard Time||240=Azerbaijan Standard Time=|Asia/Baku
Indochina Time||420=Indochina Time=|Asia/Bangkok Asia/Ho_Chi_Minh Asia/Phnom_Penh Asia/Saigon Asia/Vientiane
Krasnoyarsk Standard Time||420=Krasnoyarsk Standard Time=|Asia/Barnaul Asia/Krasnoyarsk Asia/Novokuznetsk Asia/Novosibirsk Asia/Tomsk
Kyrgyzstan Time||360=Kyrgyzstan Time=|Asia/Bishkek
Brunei Time||480=Brunei Time=|Asia/Brunei
India Standard Time||330=India Standard Time=|Asia/Calcutta Asia/Colombo Asia/Kolkata
Yakutsk Standard Time||540=Yakutsk Standard Time=|Asia/Chita Asia/Khandyga Asia/Yakutsk
Ulaanbaatar Standard Time||480=Ulaanbaatar Standard Time=|Asia/Choibalsan Asia/Ulaanbaatar Asia/Ulan_Bator
China Standard Time||480=China Standard Time=|Asia/Chongqing Asia/Chungking Asia/Harbin Asia/Macao Asia/Macau Asia/Shanghai PRC
Bangladesh Standard Time||360=Bangladesh Standard Time=|Asia/Dacca Asia/Dhaka
Syria Time|||Asia/Damascus
Timor-Leste Time||540=Timor-Leste Time=|Asia/Dili
Gulf Standard Time||240=Gulf Standard Time=|Asia/Dubai Asia/Muscat
Tajikistan Time||300=Tajikistan Time=|Asia/Dushanbe
Hong Kong Standard Time||480=Hong Kong Standard Time=|Asia/Hong_Kong Hongkong
Khovd Standard Time||420=Khovd Standard Time=|Asia/Hovd
Irkutsk Standard Time||480=Irkutsk Standard Time=|Asia/Irkutsk
Türkiye Standard Time||180=Türkiye Standard Time=|Asia/Istanbul Europe/Istanbul Turkey
Western Indonesia Time||420=Western Indonesia Time=|Asia/Jakarta Asia/Pontianak
Eastern Indonesia Time||540=Eastern Indonesia Time=|Asia/Jayapura
Israel Time||120=Israel Standard Time=;180=Israel Daylight Time=|Asia/Jerusalem Asia/Tel_Aviv Israel
Afghanistan Time||270=Afghanistan Time=|Asia/Kabul
Pakistan Standard Time||300=Pakistan Standard Time=|Asia/Karachi
Ürümqi Time|||Asia/Kashgar Asia/Urumqi
Nepal Time||345=Nepal Time=|Asia/Kathmandu Asia/Katmandu
Malaysia Time||480=Malaysia Time=|Asia/Kuala_Lumpur Asia/Kuching
Magadan Standard Time||660=Magadan Standard Time=|Asia/Magadan Asia/Sakhalin Asia/Srednekolymsk
Central Indonesia Time||480=Central Indonesia Time=|Asia/Makassar Asia/Ujung_Pandang
Philippine Standard Time||480=Philippine Standard Time=|Asia/Manila
Omsk Standard Time||360=Omsk Standard Time=|Asia/Omsk
Korean Standard Time||540=Korean Standard Time=|Asia/Pyongyang Asia/Seoul ROK
Myanmar Time||390=Myanmar Time=|Asia/Rangoon Asia/Yangon
Uzbekistan Standard Time||300=Uzbekistan Standard Time=|Asia/Samarkand Asia/Tashkent
Singapore Standard Time||480=Singapore Standard Time=|Asia/Singapore Singapore
Taiwan Standard Time||480=Taiwan Standard Time=|Asia/Taipei ROC
Georgia Standard Time||240=Georgia Standard Time=|Asia/Tbilisi
Iran Standard Time||210=Iran Standard Time=|Asia/Tehran Iran
Bhutan Time||360=Bhutan Time=|Asia/Thimbu Asia/Thimphu
Japan Standard Time||540=Japan Standard Time=|Asia/Tokyo Japan
Vladivostok Standard Time||600=Vladivostok Standard Time=|Asia/Ust-Nera Asia/Vladivostok
Yekaterinburg Standard Time||300=Yekaterinburg Standard Time=|Asia/Yekaterinburg
Armenia Standard Time||240=Armenia Standard Time=|Asia/Yerevan
Azores Time||0=Azores Summer Time=;-60=Azores Standard Time=|Atlantic/Azores
Western European Time||0=Western European Standard Time=;60=Western European Summer Time=|Atlantic/Canary Atlantic/Faeroe Atlantic/Faroe Atlantic/Madeira Europe/Lisbon Portugal WET
Cape Verde Standard Time||-60=Cape Verde Standard Time=|Atlantic/Cape_Verde
South Georgia Time||-120=South Georgia Time=|Atlantic/South_Georgia
Falkland Islands Standard Time||-180=Falkland Islands Standard Time=|Atlantic/Stanley
Australian Central Time||570=Australian Central Standard Time=;630=Australian Central Daylight Time=|Australia/Adelaide Australia/Broken_Hill Australia/South Australia/Yancowinna
Australian Eastern Standard Time||600=Australian Eastern Standard Time=|Australia/Brisbane Australia/Lindeman Australia/Queensland
Australian Central Standard Time||570=Australian Central Standard Time=|Australia/Darwin Australia/North
Australian Central Western Standard Time||525=Australian Central Western Standard Time=|Australia/Eucla
Lord Howe Time||630=Lord Howe Standard Time=;660=Lord Howe Daylight Time=|Australia/LHI Australia/Lord_Howe
Easter Island Time||-300=Easter Island Summer Time=;-360=Easter Island Standard Time=|Chile/EasterIsland Pacific/Easter
Ireland Time||0=Greenwich Mean Time=GMT;60=Irish Standard Time=|Eire Europe/Dublin
||0=Coordinated Universal Time=UTC|Etc/GMT Etc/UCT Etc/UTC Etc/Universal Etc/Zulu GMT GMT+0 GMT-0 GMT0 UCT Universal Zulu
Samara Standard Time||240=Samara Standard Time=|Europe/Astrakhan Europe/Samara Europe/Saratov Europe/Ulyanovsk
United Kingdom Time||0=Greenwich Mean Time=GMT;60=British Summer Time=|Europe/Belfast Europe/London GB GB-Eire
Guernsey Time||0=Greenwich Mean Time=GMT|Europe/Guernsey
Isle of Man Time||0=Greenwich Mean Time=GMT|Europe/Isle_of_Man
Jersey Time||0=Greenwich Mean Time=GMT|Europe/Jersey
Moscow Standard Time||180=Moscow Standard Time=|Europe/Kirov Europe/Minsk Europe/Moscow Europe/Simferopol Europe/Volgograd W-SU
Hawaii-Aleutian Standard Time|HST|-600=Hawaii-Aleutian Standard Time=HST|HST Pacific/Honolulu Pacific/Johnston US/Hawaii
Indian Ocean Time||360=Indian Ocean Time=|Indian/Chagos
Christmas Island Time||420=Christmas Island Time=|Indian/Christmas
Cocos Islands Time||390=Cocos Islands Time=|Indian/Cocos
French Southern & Antarctic Time||300=French Southern & Antarctic Time=|Indian/Kerguelen
Seychelles Time||240=Seychelles Time=|Indian/Mahe
Maldives Time||300=Maldives Time=|Indian/Maldives
Mauritius Standard Time||240=Mauritius Standard Time=|Indian/Mauritius
Réunion Time||240=Réunion Time=|Indian/Reunion
Marshall Islands Time||720=Marshall Islands Time=|Kwajalein Pacific/Kwajalein Pacific/Majuro
Chatham Time||765=Chatham Standard Time=;825=Chatham Daylight Time=|NZ-CHAT Pacific/Chatham
Samoa Standard Time||780=Samoa Standard Time=|Pacific/Apia
Bougainville Time|||Pacific/Bougainville
Chuuk Time||600=Chuuk Time=|Pacific/Chuuk Pacific/Truk Pacific/Yap
Vanuatu Standard Time||660=Vanuatu Standard Time=|Pacific/Efate
Phoenix Islands Time||780=Phoenix Islands Time=|Pacific/Enderbury Pacific/Kanton
Tokelau Time||780=Tokelau Time=|Pacific/Fakaofo
Fiji Standard Time||720=Fiji Standard Time=|Pacific/Fiji
Tuvalu Time||720=Tuvalu Time=|Pacific/Funafuti
Galapagos Time||-360=Galapagos Time=|Pacific/Galapagos
Gambier Time||-540=Gambier Time=|Pacific/Gambier
Solomon Islands Time||660=Solomon Islands Time=|Pacific/Guadalcanal
Chamorro Standard Time||600=Chamorro Standard Time=|Pacific/Guam Pacific/Saipan
Line Islands Time||840=Line Islands Time=|Pacific/Kiritimati
Kosrae Time||660=Kosrae Time=|Pacific/Kosrae
Marquesas Time||-570=Marquesas Time=|Pacific/Marquesas
American Samoa Standard Time||-660=American Samoa Standard Time=|Pacific/Midway Pacific/Pago_Pago Pacific/Samoa US/Samoa
Nauru Time||720=Nauru Time=|Pacific/Nauru
Niue Time||-660=Niue Time=|Pacific/Niue
Norfolk Island Time||660=Norfolk Island Standard Time=;720=Norfolk Island Daylight Time=|Pacific/Norfolk
New Caledonia Standard Time||660=New Caledonia Standard Time=|Pacific/Noumea
Palau Time||540=Palau Time=|Pacific/Palau
Pitcairn Time||-480=Pitcairn Time=|Pacific/Pitcairn
Pohnpei Time||660=Pohnpei Time=|Pacific/Pohnpei Pacific/Ponape
Papua New Guinea Time||600=Papua New Guinea Time=|Pacific/Port_Moresby
Cook Islands Standard Time||-600=Cook Islands Standard Time=|Pacific/Rarotonga
Tahiti Time||-600=Tahiti Time=|Pacific/Tahiti
Gilbert Islands Time||720=Gilbert Islands Time=|Pacific/Tarawa
Tonga Standard Time||780=Tonga Standard Time=|Pacific/Tongatapu
Wake Island Time||720=Wake Island Time=|Pacific/Wake
Wallis & Futuna Time||720=Wallis & Futuna Time=|Pacific/Wallis`;
