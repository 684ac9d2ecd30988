"""Faults of one line in what speaks with partners, each with a test that must notice. `make breakages` tries them all.

A fault is `old` in `file`, there once, become `new`; `test` is `file::name` below tests, without the `test_`.
"""

from typing import NamedTuple


class Breakage(NamedTuple):
    file: str
    old: str
    new: str
    test: str


BREAKAGES = [
    Breakage(
        "apps/ocpi/versions.py",
        'form == "base64" or (form == "auto" and self.encodes_token)',
        'form == "base64"',
        "ocpi/test_client.py::the_token_is_spelt_as_the_version_or_the_partner_wants",
    ),
    Breakage(
        "apps/ocpi/versions.py",
        "return 2001 if code == 2004 and not self.knows_unknown_token else code",
        "return code",
        "tokens/test_receiver.py::an_unknown_card_is_not_found_and_is_written_down",
    ),
    Breakage(
        "apps/ocpi/versions.py",
        "if self.embeds_places and place is not None:",
        "if False:",
        "charging/test_receiver.py::2_1_1_is_told_the_whole_location",
    ),
    Breakage(
        "apps/ocpi/v211.py",
        'rename(cdr, "stop_date_time", "end_date_time")',
        'rename(cdr, "stop_date_time", "end")',
        "charging/test_intake.py::the_same_cdr_in_three_versions_is_one_row",
    ),
    Breakage(
        "apps/ocpi/v211.py",
        'usage["total_cost"] = {"excl_vat": usage["total_cost"]}',
        'usage["total_cost"] = {"excl_vat": 0}',
        "charging/test_intake.py::the_same_cdr_in_three_versions_is_one_row",
    ),
    Breakage(
        "apps/ocpi/v211.py",
        'usage["total_cost"] = usage["total_cost"]["excl_vat"]',
        'usage["total_cost"] = usage["total_cost"]["incl_vat"]',
        "charging/test_receiver.py::in_another_version_it_is_what_the_stair_writes",
    ),
    Breakage(
        "apps/ocpi/v211.py",
        'return downgraded | {"type": token["type"] if token["type"] == "RFID" else "OTHER"}',
        "return downgraded",
        "flows/test_versions.py::a_newer_version_is_told_of_cards_what_the_older_had_no_words_for",
    ),
    Breakage(
        "apps/ocpi/v211.py",
        'return without(authorization, "token", "authorization_reference")',
        "return authorization",
        "tokens/test_receiver.py::2_1_1_is_told_less",
    ),
    Breakage(
        "apps/ocpi/v211.py",
        'rename(session, "start_datetime", "start_date_time")',
        'rename(session, "start_datetime", "start")',
        "charging/test_sessions.py::in_three_versions_it_is_the_same_session",
    ),
    Breakage(
        "apps/ocpi/envelope.py", 'rel="next"', 'rel="prev"', "tokens/test_receiver.py::the_list_is_paged_by_links"
    ),
    Breakage(
        "apps/ocpi/envelope.py",
        '"X-Limit": str(limit)',
        '"X-Limit": str(total)',
        "tokens/test_receiver.py::the_list_is_paged_by_links",
    ),
    Breakage(
        "apps/ocpi/envelope.py",
        '"X-Total-Count": str(total)',
        '"X-Total-Count": str(limit)',
        "tokens/test_receiver.py::the_list_is_paged_by_links",
    ),
    Breakage(
        "apps/ocpi/envelope.py",
        "return {name: value for name, value in said.items() if value is not None}",
        "return said",
        "charging/test_receiver.py::a_new_one_is_created_and_has_a_place",
    ),
    Breakage(
        "apps/ocpi/types.py",
        'minutes if designator[0] == "+" else -minutes',
        '-minutes if designator[0] == "+" else minutes',
        "ocpi/test_types.py::times_are_instants_in_utc",
    ),
    Breakage(
        "apps/ocpi/types.py",
        "fits = len(digits) + exponent <= DIGITS_BEFORE_POINT and exponent >= -DIGITS_AFTER_POINT",
        "fits = True",
        "ocpi/test_types.py::what_is_no_number_or_does_not_fit_is_none",
    ),
    Breakage(
        "apps/ocpi/objects.py",
        'return "" if told is None or told == NOT_APPLICABLE else told',
        'return told or ""',
        "charging/test_receiver.py::a_reservation_that_was_not_used_has_no_evse",
    ),
    Breakage(
        "apps/tokens/listing.py",
        "last_updated__gte=",
        "last_updated__gt=",
        "tokens/test_listing.py::dates_are_from_inclusive_and_to_exclusive",
    ),
    Breakage(
        "apps/tokens/listing.py",
        "last_updated__lt=",
        "last_updated__lte=",
        "tokens/test_listing.py::dates_are_from_inclusive_and_to_exclusive",
    ),
    Breakage(
        "apps/tokens/listing.py",
        'min(asked["limit"], MOST)',
        'asked["limit"]',
        "tokens/test_listing.py::a_limit_above_ours_is_lowered",
    ),
    Breakage(
        "apps/tokens/listing.py",
        "pk__gt=",
        "pk__gte=",
        "tokens/test_listing.py::a_crawl_sees_every_token_once_and_the_last_page_has_no_next",
    ),
    Breakage(
        "apps/tokens/listing.py",
        "filter(type__in=TOLD).",
        "",
        "tokens/test_listing.py::contracts_in_cars_are_not_listed",
    ),
    Breakage(
        "apps/tokens/listing.py",
        'return f"{__name__} {partner_id} {date_from} {date_to}"',
        "return __name__",
        "tokens/test_listing.py::a_cursor_is_good_for_its_own_list_alone",
    ),
    Breakage(
        "apps/tokens/receiver.py",
        ' or query.get("token_type")',
        "",
        "tokens/test_receiver.py::the_type_goes_by_either_name",
    ),
    Breakage(
        "apps/tokens/receiver.py",
        'raise UnknownToken("This token is not known here")',
        "raise InvalidObject([])",
        "tokens/test_receiver.py::an_unknown_card_is_not_found_and_is_written_down",
    ),
    Breakage(
        "apps/tokens/receiver.py",
        "if self.partner.wants_place and not self.body.strip():",
        "if False:",
        "tokens/test_receiver.py::whoever_must_say_where_and_does_not_is_told_so",
    ),
    Breakage(
        "apps/tokens/receiver.py",
        "if asked not in TYPES:",
        "if False:",
        "tokens/test_receiver.py::a_type_that_there_is_not_is_refused",
    ),
    Breakage(
        "apps/tokens/authorization.py",
        "location=self.references if self.is_grant else None",
        "location=self.references",
        "tokens/test_authorization.py::a_refusal_names_no_place_and_says_so_to_the_driver",
    ),
    Breakage(
        "apps/tokens/authorization.py",
        "upper(token.uid) = upper(%(uid)s)",
        "token.uid = %(uid)s",
        "tokens/test_authorization.py::a_card_is_found_whatever_the_case_of_its_uid",
    ),
    Breakage(
        "apps/tokens/authorization.py",
        " AND token.type = %(type)s)",
        ")",
        "tokens/test_authorization.py::the_type_is_part_of_the_key",
    ),
    Breakage(
        "apps/tokens/cards.py",
        "Token.Whitelist.NEVER.value if card.type in ALWAYS_ASKED else card.whitelist",
        "card.whitelist",
        "tokens/test_push.py::apps_are_sent_with_their_type_and_are_always_asked",
    ),
    Breakage(
        "apps/tokens/cards.py",
        "valid=card.is_in_order",
        "valid=True",
        "tokens/test_receiver.py::the_list_says_what_may_not_charge",
    ),
    Breakage(
        "apps/tokens/cards.py",
        "WHEN driver.blocked_at IS NOT NULL",
        "WHEN false",
        "tokens/test_authorization.py::a_blocked_driver_is_refused_with_every_card",
    ),
    Breakage(
        "apps/partners/receiver.py",
        'self.caller.sender is None and not self._claims(self._key("from"))',
        "False",
        "partners/test_frame.py::who_speaks_for_others_or_to_others_is_refused",
    ),
    Breakage(
        "apps/partners/receiver.py",
        '"OCPI-to-party-id": self.caller.sender.party_id',
        '"OCPI-to-party-id": self.us.party_id',
        "partners/test_frame.py::routing_headers_come_back_swapped",
    ),
    Breakage(
        "apps/partners/receiver.py",
        '"X-Request-ID": self.request_id',
        '"X-Request-ID": self.correlation_id',
        "partners/test_frame.py::ids_of_a_request_come_back",
    ),
    Breakage(
        "apps/partners/receiver.py",
        "return self.is_registration or (",
        "return True or (",
        "partners/test_handshake.py::an_invitation_opens_the_registration_and_nothing_else",
    ),
    Breakage(
        "apps/partners/receiver.py",
        'if _number(meta.get("CONTENT_LENGTH")) > self._limit():',
        "if False:",
        "partners/test_frame.py::large_bodies_are_not_read",
    ),
    Breakage(
        "apps/partners/receiver.py",
        "if content_type and not JSON.match(content_type):",
        "if False:",
        "partners/test_frame.py::other_types_are_415",
    ),
    Breakage(
        "apps/partners/receiver.py",
        '"Our server failed; the message is kept", status_code=3000',
        '"Our server failed; the message is kept", status_code=3000, http_status=500',
        "partners/test_frame.py::what_nobody_foresaw_is_ours_and_the_body_is_kept",
    ),
    Breakage(
        "apps/partners/receiver.py",
        "return self.module not in WITHOUT_ROUTING",
        "return True",
        "partners/test_frame.py::versions_and_credentials_take_no_routing_headers",
    ),
    Breakage(
        "apps/locations/receiver.py",
        'self.same("uid", evse.uid, evse_uid)',
        "pass",
        "locations/test_receiver.py::an_evse_is_added_by_its_put",
    ),
    Breakage(
        "apps/partners/receiver.py",
        "HTTPStatus.CREATED if outcome is Outcome.CREATED else HTTPStatus.OK",
        "HTTPStatus.OK",
        "locations/test_receiver.py::a_location_is_put_read_and_put_again",
    ),
    Breakage(
        "apps/locations/store.py",
        "touch_location(place, evse.last_updated)",
        "touch_location(place, None)",
        "locations/test_store.py::a_new_evse_is_added_and_raises_its_location",
    ),
    Breakage(
        "apps/locations/store.py",
        "touch_evse(evse, connector.last_updated)",
        "touch_evse(evse, None)",
        "locations/test_store.py::a_connector_raises_its_parents",
    ),
    Breakage(
        "apps/locations/store.py",
        "_remove_missing_evses([one for one in accepted if not one.was_new])",
        "pass",
        "locations/test_store.py::an_evse_that_a_put_leaves_out_is_removed_and_stays_readable",
    ),
    Breakage(
        "apps/locations/patches.py",
        "AND e.last_updated <= coalesce(%(at)s, e.last_updated)",
        "",
        "locations/test_patches.py::older_is_told_so_and_changes_nothing",
    ),
    Breakage(
        "apps/partners/patching.py",
        "!= known.upper()",
        '== "?"',
        "locations/test_patches.py::a_patch_cannot_change_who_something_is",
    ),
    Breakage(
        "apps/partners/patching.py",
        "[name for name in changes if name not in fresh]",
        "[]",
        "locations/test_patches.py::null_clears_and_what_is_absent_stays",
    ),
    Breakage(
        "apps/tariffs/receiver.py",
        "status=status_of(taken.require().outcome)",
        "status=taken.require() and 200",
        "tariffs/test_tariffs.py::a_tariff_is_put_read_and_deleted_over_http",
    ),
    Breakage(
        "apps/tariffs/receiver.py",
        "if not version.patches_tariffs:",
        "if False:",
        "flows/test_versions.py::a_tariff_is_patched_where_the_version_has_that",
    ),
    Breakage(
        "apps/partners/mirror.py",
        "rows.filter(**{self.gone: None}).update(**{self.gone: now})",
        "rows.update(**{self.gone: now})",
        "tariffs/test_tariffs.py::a_deleted_tariff_can_still_be_read_and_comes_back_with_a_put",
    ),
    Breakage(
        "apps/tariffs/asking.py",
        "Q(end_date_time__gt=at)",
        "Q(end_date_time__gte=at)",
        "tariffs/test_asking.py::a_tariff_holds_from_its_start_to_before_its_end",
    ),
    Breakage(
        "apps/tariffs/asking.py",
        ".exclude(type=AD_HOC)",
        "",
        "tariffs/test_asking.py::a_tariff_of_people_without_a_contract_is_never_ours",
    ),
    Breakage(
        "apps/tariffs/asking.py",
        "filter(party=party, key__in=named",
        "filter(key__in=named",
        "tariffs/test_asking.py::the_id_of_a_tariff_means_another_one_at_another_party",
    ),
    Breakage(
        "apps/charging/store.py",
        "\" AND (old.status <> 'COMPLETED' OR excluded.status = 'COMPLETED')\"",
        '""',
        "charging/test_sessions.py::completed_is_not_reopened_but_may_be_corrected",
    ),
    Breakage(
        "apps/charging/store.py",
        "return session.status != COMPLETED",
        "return True",
        "charging/test_sessions.py::completed_stays",
    ),
    Breakage(
        "apps/charging/store.py",
        "    if known:\n",
        "    if False:\n",
        "charging/test_sessions.py::what_a_put_no_longer_has_is_gone",
    ),
    Breakage(
        "apps/charging/intake.py",
        'return Stored(Outcome.CONFLICT, public_id, (Problem("id", reason),))',
        "return Stored(Outcome.UNCHANGED, public_id)",
        "charging/test_receiver.py::another_of_its_id_is_refused_without_a_place_and_kept",
    ),
    Breakage(
        "apps/charging/intake.py",
        "if cdr.version == version.number:",
        "if False:",
        "charging/test_receiver.py::its_place_gives_the_very_bytes",
    ),
    Breakage(
        "apps/charging/intake.py",
        "filter(public_id=public_id, party__partner=partner)",
        "filter(public_id=public_id)",
        "charging/test_receiver.py::only_whose_route_it_is_may_look",
    ),
    Breakage(
        "apps/charging/receiver.py",
        'headers={"Location": location}',
        "headers={}",
        "charging/test_receiver.py::a_new_one_is_created_and_has_a_place",
    ),
    Breakage(
        "apps/charging/matching.py",
        "coalesce(granted.token_id, card.id, only_card.id)",
        "coalesce(card.id, granted.token_id, only_card.id)",
        "charging/test_receiver.py::the_last_reference_that_we_gave_finds_the_card",
    ),
    Breakage(
        "apps/charging/matching.py",
        "HAVING count(*) = 1",
        "",
        "charging/test_receiver.py::in_2_1_1_the_contract_means_its_only_card",
    ),
    Breakage(
        "apps/charging/checks.py",
        'Rule("V-11", placeholder_dates, HOLD, HOLD',
        'Rule("V-11", placeholder_dates, INFO, INFO',
        "charging/test_receiver.py::a_time_of_1970_is_taken_and_held",
    ),
    Breakage(
        "apps/locations/publishing.py",
        "entry ?& '{uid,type}'",
        "entry ? 'uid'",
        "locations/test_reading.py::what_is_not_published_is_for_certain_cards",
    ),
    Breakage(
        "apps/locations/publishing.py",
        "upper(entry ->> 'uid') = upper(%s)",
        "entry ->> 'uid' = %s",
        "locations/test_reading.py::what_is_not_published_is_for_certain_cards",
    ),
    Breakage(
        "apps/locations/reading.py",
        'location.details.get("operator") or _of_role(location)',
        'location.details.get("operator") or {}',
        "locations/test_reading.py::without_an_operator_it_is_who_registered",
    ),
    Breakage(
        "apps/partners/clients.py",
        'guard="old.last_updated <= excluded.last_updated"',
        'guard="TRUE"',
        "partners/test_clients.py::an_older_status_changes_nothing",
    ),
    Breakage(
        "apps/partners/clients.py",
        "if parties and all(found):",
        "if parties and any(found):",
        "partners/test_clients.py::a_hub_gets_our_cards_as_long_as_somebody_behind_it_is_there",
    ),
    Breakage(
        "apps/partners/clients.py",
        "party_id__iexact=party_id, partner=None)",
        "party_id__iexact=party_id)",
        "partners/test_clients.py::a_new_party_behind_a_hub_waits_for_staff_and_a_connected_one_stays_where_it_is",
    ),
    Breakage(
        "apps/partners/handshake.py",
        "if key == NO_KEY or any(role.role == HUB for role in theirs.roles):",
        "if True:",
        "flows/test_hubs.py::a_hub_is_a_role_in_2_2_1_and_a_party_beside_those_it_reaches_since",
    ),
    Breakage(
        "apps/partners/peers.py",
        "return hub_of(partner)",
        "return None",
        "flows/test_hubs.py::a_push_to_all_and_a_list_of_all_are_for_the_hub",
    ),
    Breakage(
        "apps/partners/peers.py",
        "(them is not None or partner.is_hub)",
        "them is not None",
        "flows/test_hubs.py::a_hub_that_does_not_say_who_it_is_finds_out_by_itself_whom_we_mean",
    ),
    Breakage(
        "apps/partners/receiver.py",
        "if self.speaker not in (None, self.party):",
        "if False:",
        "flows/test_hubs.py::what_a_hub_passes_on_is_of_the_party_it_names_and_what_it_says_itself_of_any",
    ),
    Breakage(
        "apps/partners/receiver.py",
        'return None if hub and hub.key == self._key("from") else sender',
        "return sender",
        "flows/test_hubs.py::what_a_hub_passes_on_is_of_the_party_it_names_and_what_it_says_itself_of_any",
    ),
    Breakage(
        "apps/charging/receiver.py",
        'how = {"owner": self.speaker, "context"',
        'how = {"context"',
        "flows/test_hubs.py::a_cdr_that_a_hub_passes_on_is_of_the_party_it_names",
    ),
    Breakage(
        "apps/ocpi/client.py",
        "if self.status_code in HUB_ERRORS:",
        "if False:",
        "ocpi/test_client.py::what_is_no_success_fails_with_what_the_peer_said",
    ),
    Breakage(
        "apps/charging/dispatch.py",
        "if error.status_code in WENT_NOWHERE or (",
        "if (",
        "flows/test_hubs.py::no_word_of_a_hub_is_a_refusal_by_the_cpo",
    ),
    Breakage(
        "apps/tokens/push.py",
        "return is_answer and not error.is_of_hub",
        "return is_answer",
        "flows/test_hubs.py::cards_that_a_hub_could_not_pass_on_are_pushed_again_together",
    ),
]
